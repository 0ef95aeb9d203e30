"""Where the panel's elements are, and how a direction is written."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Wavefront = Literal["spherical", "fresnel", "parabolic"]


@dataclass(frozen=True)
class Panel:
    """A centred uniform rectangular panel in the plane of h and v, and its wavefront model.

    Elements are numbered n = n_v * elements_h + n_h: h runs fastest.
    """

    elements_h: int
    elements_v: int
    spacing_m: float
    wavelength_m: float
    wavefront: Wavefront = "spherical"

    @property
    def elements(self) -> int:
        """Number of elements (N)."""
        return self.elements_h * self.elements_v

    @property
    def wavenumber(self) -> float:
        """k0 = 2 pi / lambda, in rad/m."""
        return 2.0 * math.pi / self.wavelength_m

    def positions(
        self, dtype: torch.dtype = torch.float64, device: torch.device | str = "cpu"
    ) -> tuple[Tensor, Tensor]:
        """Offsets of every element from the centre: h_m (N,), v_m (N,)."""
        h = _centred(self.elements_h, dtype, device) * self.spacing_m
        v = _centred(self.elements_v, dtype, device) * self.spacing_m
        return h.repeat(self.elements_v), v.repeat_interleave(self.elements_h)


def direction_cosines(phi_rad: Tensor, theta_rad: Tensor) -> tuple[Tensor, Tensor]:
    """Cosines along h and v: u = sin(phi) cos(theta), v = sin(theta); broadside is (0, 0)."""
    return phi_rad.sin() * theta_rad.cos(), theta_rad.sin()


def angles(u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """The inverse of `direction_cosines`, for the half space in front of the panel."""
    theta = v.clamp(-1.0, 1.0).asin()
    return torch.atan2(u, (1.0 - u.square() - v.square()).clamp(min=0.0).sqrt()), theta


def _centred(count: int, dtype: torch.dtype, device: torch.device | str) -> Tensor:
    return torch.arange(count, dtype=dtype, device=device) - (count - 1) / 2
