"""Peaks of spectra on grids, and the distinct ones among refined points."""

import torch
from torch import Tensor

from risexp.estimation.grid import Grid

_DISTINCT = 0.3
"""Points closer than this share of the grid's steps are one peak."""


def highest_peaks(grid: Grid, heights: Tensor, count: int) -> Tensor:
    """The highest local maxima of spectra over the grid's candidates.

    Args:
        grid: Where the spectra were taken.
        heights: (B, G) real.
        count: How many a scene; where there are fewer maxima, the highest other points follow.

    Returns:
        (B, count, 3) points.
    """
    laid = grid.unfold(heights, -torch.inf)
    flat, top = laid.flatten(1), _highest_around(laid).flatten(1)
    ranked = torch.where(flat == top, flat, flat - 2.0 * _span(heights))
    best = ranked.topk(min(count, flat.shape[1]), dim=-1).indices
    return grid.points.flatten(0, 2)[best]


def distinct(grid: Grid, points: Tensor, heights: Tensor, count: int) -> Tensor:
    """Which of refined points (B, T, 3) to keep: the highest, each peak once, (B, count) indices.

    Where there are fewer peaks than asked for, the next points of a peak already taken follow.
    """
    steps = grid.steps.to(points)
    gaps = (points.unsqueeze(2) - points.unsqueeze(1)) / steps
    same = gaps.abs().amax(-1) < _DISTINCT
    left, chosen = heights.clone(), []
    for _ in range(min(count, points.shape[1])):
        best = left.argmax(-1, keepdim=True)
        chosen.append(best)
        near = same.gather(1, best.unsqueeze(-1).expand(-1, -1, same.shape[-1])).squeeze(1)
        left = left - near.to(left) * 2.0 * _span(heights)
        left = left.scatter(1, best, -torch.inf)
    return torch.cat(chosen, dim=-1)


def _highest_around(laid: Tensor) -> Tensor:
    """The highest of each point (B, R, V, U) and its 26 neighbours, one axis after the other."""
    for axis in (1, 2, 3):
        size = laid.shape[axis]
        if size > 1:
            pairs = torch.maximum(laid.narrow(axis, 0, size - 1), laid.narrow(axis, 1, size - 1))
            first, last = laid.narrow(axis, 0, 1), laid.narrow(axis, size - 1, 1)
            lower, upper = torch.cat([first, pairs], axis), torch.cat([pairs, last], axis)
            laid = torch.maximum(lower, upper)
    return laid


def _span(heights: Tensor) -> Tensor:
    """More than any difference within a scene's heights, (B, 1)."""
    return 1.0 + heights.amax(-1, keepdim=True) - heights.amin(-1, keepdim=True)
