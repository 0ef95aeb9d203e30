"""MUSIC that finds one source at a time: those found are projected out of the subspace.

Weak and close sources have no peak of their own in a coarse null spectrum; once the others are
gone they have (J. C. Mosher, R. M. Leahy, Source localization using recursively applied and
projected MUSIC, IEEE Trans. Signal Processing 47, 1999). With U the signal subspace, Q the span of
the j sources found, and V of the K - j strongest directions of (I - Q Q^H) U, the next is where

    |V^H a|^2 / (1 - |Q^H a|^2)

is largest. U^H a is taken once over the grid, and one more column for each source found. At the end
all points move jointly, to where their steering vectors span U best.
"""

import torch
from torch import Tensor

from risexp.estimation.descent import refine
from risexp.estimation.grid import Grid, summed_energy
from risexp.estimation.projection import Equations, loaded_root
from risexp.estimation.receiver_model import ReceiverModel
from risexp.physics.steering import steering_vector

_STEPS = 4
_ROUGH = 1e-3
_SETTLED = 1e-10
"""Promised gains, as shares of the subspace's energy, below which a search step and the final
positions have settled."""
_RESOLVED = 0.1
"""Least share of a steering vector that must lie outside the span of the sources found."""
_RANK = 1e-5
"""Directions with less of the subspace's energy are rounding."""


def recursive_music(setting: ReceiverModel, grid: Grid, basis: Tensor, count: Tensor) -> Tensor:
    """Points (B, K_MAX, 3) of the sources whose steering vectors span the subspaces.

    Args:
        setting: Panel and view.
        grid: Where sources are first looked for.
        basis: U, (B, N, q) complex64, orthonormal; columns beyond a scene's rank are zero.
        count: How many sources a scene has, (B,) int64; slots beyond hold nothing of meaning.
    """
    energy = torch.view_as_real(basis).double().square().sum((-3, -2, -1))
    equations = Equations(None, basis, energy)
    most, size = setting.view.sources_max, basis.shape[-1]
    seen = basis.new_empty((len(basis), size + most, len(grid.candidates)))
    seen[:, :size] = grid.responses(basis.mH)
    points = grid.candidates.new_zeros((len(basis), 0, 3))
    found = basis.new_zeros((len(basis), 0, basis.shape[1]))
    for placed in range(most):
        heights = _heights(seen[:, : size + placed], basis, found, count - placed)
        start = grid.candidates[heights.argmax(-1)].unsqueeze(1)
        point = refine(setting, equations, start, _ROUGH * energy, steps=_STEPS).points
        wave = steering_vector(setting.panel, *point.unbind(-1))
        points, found = torch.cat([points, point], dim=1), torch.cat([found, wave], dim=1)
        seen[:, size + placed] = grid.responses(wave.conj()).squeeze(1)
    present = torch.arange(points.shape[1], device=count.device) < count.unsqueeze(-1)
    return refine(setting, equations, points, _SETTLED * energy, present).points


def _heights(seen: Tensor, basis: Tensor, found: Tensor, left: Tensor) -> Tensor:
    """The recursive spectrum over the grid, (B, G); below zero where nothing can be resolved.

    Args:
        seen: U^H a, then A^H a of the sources found, (B, q + j, G).
        basis: U, (B, N, q).
        found: Steering vectors of the sources found, (B, j, N).
        left: How many sources are still to be found, (B,).
    """
    size = basis.shape[-1]
    root = loaded_root((found.conj() @ found.mT).to(torch.complex128))
    eye = torch.eye(found.shape[1], dtype=root.dtype, device=root.device).expand_as(root)
    inverse = torch.linalg.solve_triangular(root, eye, upper=False)
    spanned = inverse @ (found.conj() @ basis).to(root.dtype)
    own = (basis.mH @ basis).to(root.dtype)
    strength, turn = torch.linalg.eigh(own - spanned.mH @ spanned)
    rank = torch.arange(size - 1, -1, -1, device=left.device)
    kept = (rank < left.clamp(min=1).unsqueeze(-1)) & (strength > _RANK)
    scale = torch.where(kept, strength.clamp(min=_RANK).rsqrt(), 0.0)
    onto = (turn * scale.unsqueeze(-2)).mH
    mixed = torch.cat([onto, -onto @ spanned.mH @ inverse], dim=-1).to(seen.dtype) @ seen
    explained = inverse.to(seen.dtype) @ seen[:, size:]
    outside = 1.0 - summed_energy(explained)
    heights = summed_energy(mixed) / outside.clamp(min=_RESOLVED)
    return heights.masked_fill(outside < _RESOLVED, -1.0)
