"""The one steering function: what the panel sees of a point source, under any wavefront model.

Every model is a path difference Delta(s, rho) of an element against the panel's centre, where
s = h u + v v is the element's projection on the direction and p^2 = h^2 + v^2 its squared offset:

    a_n = exp(-j k0 Delta_n) / sqrt(N)

    spherical   Delta = |p - p_n| - r = E / (Q + 1), E = p^2 rho - 2 s, Q^2 = 1 + rho E
    fresnel     Delta = -s + rho (p^2 - s^2) / 2
    parabolic   Delta = -s + rho p^2 / 2

The range coordinate is rho = 1 / r, so rho = 0 is the far field. The quotient is the plain
difference |p - p_n| - r without its cancellation, which in float32 costs 4e-5 rad at 10 m, 4e-4 at
100 m and 3e-3 at 1 km.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from risexp.physics.geometry import Panel


@dataclass(frozen=True)
class Path:
    """Path differences (..., N) in metres and their slopes along the projection s and along rho."""

    delta: Tensor
    along_s: Tensor
    along_rho: Tensor


def steering_vector(panel: Panel, u: Tensor, v: Tensor, rho: Tensor) -> Tensor:
    """Unit-norm response of the panel to sources at (u, v, 1 / rho).

    Args:
        panel: Geometry and wavefront model.
        u: Direction cosine along h, (...) real; its dtype decides the result's precision.
        v: Direction cosine along v, (...) real.
        rho: Inverse range in 1/m, (...) real.

    Returns:
        (..., N) complex.
    """
    s, p2 = _projection(panel, u, v)
    return _wave(panel, _difference(panel, s, p2, rho.unsqueeze(-1)))


def steering_slopes(panel: Panel, u: Tensor, v: Tensor, rho: Tensor) -> tuple[Tensor, ...]:
    """The steering vector and its derivatives along u, v and rho, each (..., N) complex."""
    h_m, v_m = panel.positions(u.dtype, u.device)
    s, p2 = _projection(panel, u, v)
    path = _path(panel, s, p2, rho.unsqueeze(-1))
    a = _wave(panel, path.delta)
    turn = -1j * panel.wavenumber * a
    return a, turn * (h_m * path.along_s), turn * (v_m * path.along_s), turn * path.along_rho


def _projection(panel: Panel, u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    h_m, v_m = panel.positions(u.dtype, u.device)
    return u.unsqueeze(-1) * h_m + v.unsqueeze(-1) * v_m, h_m.square() + v_m.square()


def _wave(panel: Panel, delta: Tensor) -> Tensor:
    """The unit wave; on CPU cosine and sine are three times as fast as `polar`."""
    phase = -panel.wavenumber * delta
    scale = 1.0 / math.sqrt(panel.elements)
    return torch.complex(phase.cos() * scale, phase.sin() * scale)


def _difference(panel: Panel, s: Tensor, p2: Tensor, rho: Tensor) -> Tensor:
    match panel.wavefront:
        case "spherical":
            excess = p2 * rho - 2.0 * s
            return excess / (_stretch(rho, excess) + 1.0)
        case "fresnel":
            return 0.5 * rho * (p2 - s.square()) - s
        case "parabolic":
            return 0.5 * rho * p2 - s


def _path(panel: Panel, s: Tensor, p2: Tensor, rho: Tensor) -> Path:
    delta = _difference(panel, s, p2, rho)
    match panel.wavefront:
        case "spherical":
            stretch = _stretch(rho, p2 * rho - 2.0 * s)
            along_rho = (p2 + s * delta) / (stretch * (stretch + 1.0))
            return Path(delta, -1.0 / stretch, along_rho)
        case "fresnel":
            return Path(delta, -1.0 - rho * s, 0.5 * (p2 - s.square()))
        case "parabolic":
            return Path(delta, torch.full_like(s, -1.0), 0.5 * p2.expand_as(s))


def _stretch(rho: Tensor, excess: Tensor) -> Tensor:
    """Q = |p - p_n| / r, zero only for a source on an element: clamped, so slopes stay finite."""
    return (1.0 + rho * excess).clamp(min=1e-12).sqrt()
