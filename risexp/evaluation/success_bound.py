"""How often errors as small as the Cramer-Rao bound allows would stay within a tolerance.

Errors are drawn from N(0, CRB) with the covariance of all positions of a scene at once, and the
positions they lead to are clipped to the field of view, as an estimator that knows it would.
"""

import math
from typing import Final

import torch
from torch import Tensor

from risexp.config.measurement import DataConfig
from risexp.data.frames import Frames, Truth
from risexp.evaluation.candidates import scene_normals
from risexp.evaluation.matching import STRICT_TOLERANCE, TOLERANCE
from risexp.physics.bounds import Sources, frame_bound, snapshot_bound
from risexp.physics.geometry import Panel
from risexp.physics.signals import Symbols

Box = tuple[float, float, float]
"""Largest errors of phi (rad), theta (rad) and range (m) that still count as located."""


def _box(tolerance: tuple[float, float, float]) -> Box:
    """A tolerance in (deg, deg, m) as bounds have it."""
    phi_deg, theta_deg, range_m = tolerance
    return math.radians(phi_deg), math.radians(theta_deg), range_m


BOX: Final = _box(TOLERANCE)
STRICT_BOX: Final = _box(STRICT_TOLERANCE)
_BOUNDLESS: Final = 1e12
"""Deviation drawn where the bound is infinite: far outside any view, and no infinity times zero."""


def position_bound(symbols: Symbols, panel: Panel, frames: Frames, truth: Truth) -> Tensor:
    """Bound on (phi, theta, range) at what was sent, (B, 3 K_MAX, 3 K_MAX); absent NaN."""
    sources = Sources(truth.phi_rad, truth.theta_rad, truth.range_m, truth.present)
    seen = (panel, frames.channel, frames.codes, sources)
    if symbols == "frame":
        return frame_bound(*seen, truth.gains[:, 0], truth.noise_power)
    return snapshot_bound(*seen, truth.powers, truth.noise_power)


def deviations(bound: Tensor) -> Tensor:
    """Standard deviations of phi (rad), theta (rad) and range (m), (B, K_MAX, 3)."""
    return _by_axis(bound.diagonal(dim1=-2, dim2=-1).sqrt()).mT


def position_errors(bound: Tensor, truth: Truth, data: DataConfig, draws: int) -> Tensor:
    """Errors of clipped positions drawn at the bound, (B, draws, 3, K_MAX); absent ones are zero.

    Where the bound is infinite an estimate lands on an edge of the view.
    """
    spread = bound.diagonal(dim1=-2, dim2=-1).sqrt().nan_to_num(nan=0.0, posinf=_BOUNDLESS)
    normals = scene_normals(truth, "errors", (draws, bound.shape[-1]))
    errors = _by_axis(normals @ _correlation_root(bound).mT * spread.unsqueeze(-2))
    view = [
        [math.radians(edge) for edge in data.phi_deg],
        [math.radians(edge) for edge in data.theta_deg],
        list(data.range_m),
    ]
    low, high = torch.tensor(view, dtype=torch.float64, device=bound.device).mT.unsqueeze(-1)
    true = torch.stack([truth.phi_rad, truth.theta_rad, truth.range_m], dim=-2)
    moved = (true.unsqueeze(1) + errors).clamp(low, high) - true.unsqueeze(1)
    return moved.where(truth.present[:, None, None, :], 0.0)


def inside(errors: Tensor, box: Box) -> Tensor:
    """Share of draws (B, draws, 3, K_MAX) that leave every source in the box, (B,) float64."""
    limit = torch.tensor(box, dtype=errors.dtype, device=errors.device).unsqueeze(-1)
    return (errors.abs() <= limit).all(-1).all(-1).double().mean(-1)


def _by_axis(values: Tensor) -> Tensor:
    """(..., 3 K) as (..., 3, K): phi, theta and range apart."""
    return values.view(*values.shape[:-1], 3, values.shape[-1] // 3)


def _correlation_root(bound: Tensor, load: float = 1e-12) -> Tensor:
    """Cholesky factor of the correlations; the identity where there are none to speak of.

    The `load` is what rounding may have taken from an eigenvalue next to zero.
    """
    eye = torch.eye(bound.shape[-1], dtype=bound.dtype, device=bound.device)
    spread = bound.diagonal(dim1=-2, dim2=-1).sqrt()
    correlation = bound / spread.unsqueeze(-1) / spread.unsqueeze(-2)
    correlation = correlation.where(correlation.isfinite(), eye) + load * eye
    root, failed = torch.linalg.cholesky_ex(correlation)
    usable: Tensor = root.where(failed[:, None, None] == 0, eye)
    return usable
