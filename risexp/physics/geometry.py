"""Geometry of the panel: positions of its elements, and direction cosines."""

import math
from dataclasses import dataclass
from functools import lru_cache
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
        """Offsets of every element from the centre: h_m (N,), v_m (N,); not to be written to."""
        return _positions(self, dtype, torch.device(device))


def direction_cosines(phi_rad: Tensor, theta_rad: Tensor) -> tuple[Tensor, Tensor]:
    """Cosines along h and v: u = sin(phi) cos(theta), v = sin(theta); broadside is (0, 0)."""
    return phi_rad.sin() * theta_rad.cos(), theta_rad.sin()


def angles(u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """The inverse of `direction_cosines`, for the half space in front of the panel."""
    theta = v.clamp(-1.0, 1.0).asin()
    # At the edge of the half space the root has no slope; clamped, its gradient stays a number.
    return torch.atan2(u, (1.0 - u.square() - v.square()).clamp(min=1e-14).sqrt()), theta


@lru_cache(maxsize=32)
def _positions(panel: Panel, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cached: estimators need the positions thousands of times a second."""
    # Cached tensors must be usable under autograd, also if the first caller was in inference mode.
    with torch.inference_mode(mode=False):
        h = _centred(panel.elements_h, dtype, device) * panel.spacing_m
        v = _centred(panel.elements_v, dtype, device) * panel.spacing_m
        return h.repeat(panel.elements_v), v.repeat_interleave(panel.elements_h)


def _centred(count: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.arange(count, dtype=dtype, device=device) - (count - 1) / 2
