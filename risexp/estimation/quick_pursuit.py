"""Sources at a glance: the greedy search with few steps, for those who will judge what it finds.

The same search as `pursuit`, without what a finished answer needs: no evidence, no exact weighing
of peaks, no convergence. What is left unexplained after each source is kept: it tells a count.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from risexp.data.frames import Frames
from risexp.estimation.descent import approach
from risexp.estimation.grid import Grid, search_grid
from risexp.estimation.held_symbols import HeldSymbols
from risexp.estimation.projection import Solution, loaded_root, solve
from risexp.estimation.receiver_model import ReceiverModel

_SCENES = 128
"""Scenes searched at once: on a CPU, what its cache holds."""


@dataclass(frozen=True)
class QuickPursuit:
    """K_MAX sources fitted to each of B scenes, whether or not so many are there."""

    points: Tensor
    """(B, K_MAX, 3) float32: u, v, rho, in the order they were found."""
    powers: Tensor
    """(B, K_MAX) float64: |gain|^2."""
    power_spread: Tensor
    """(B, K_MAX) float64: variance of each gain."""
    misfit: Tensor
    """(B, K_MAX + 1) float64: energy left after 0 .. K_MAX sources."""
    noise_power: Tensor
    """(B,) float64: sigma^2 as the frames tell it."""
    samples: int
    """L M"""


def quick_pursuit(setting: ReceiverModel, frames: Frames, steps: int) -> QuickPursuit:
    """Look for K_MAX sources in each scene.

    Args:
        setting: Panel, view and laws; held symbols.
        frames: B scenes, in the units of the power law.
        steps: Gauss-Newton steps after each source.
    """
    parts = [
        _few(setting, frames[start : start + _SCENES], steps)
        for start in range(0, max(len(frames), 1), _SCENES)
    ]
    names = ("points", "powers", "power_spread", "misfit", "noise_power")
    columns = {name: torch.cat([getattr(part, name) for part in parts]) for name in names}
    return QuickPursuit(**columns, samples=parts[0].samples)


def _few(setting: ReceiverModel, frames: Frames, steps: int) -> QuickPursuit:
    law = HeldSymbols.of(setting, frames)
    grid = search_grid(setting.panel, setting.view, law.noise_power.device)
    equations, panel = law.equations, setting.panel
    points = equations.energy.new_zeros((len(frames), 0, 3), dtype=torch.float32)
    fit = solve(panel, equations, points)
    misfit = [fit.misfit]
    for _ in range(setting.view.sources_max):
        started = torch.cat([fit.points, _next(law, fit, grid).unsqueeze(1)], dim=1)
        fit = approach(setting, equations, started, law.tolerance, steps)
        misfit.append(fit.misfit)
    inverse = torch.cholesky_inverse(loaded_root(fit.overlap)).diagonal(dim1=-2, dim2=-1).real
    return QuickPursuit(
        points=fit.points,
        powers=fit.gains[..., 0].abs().square(),
        power_spread=law.noise_power.unsqueeze(-1) * inverse,
        misfit=torch.stack(misfit, dim=-1),
        noise_power=law.noise_power,
        samples=law.samples,
    )


def _next(law: HeldSymbols, fit: Solution, grid: Grid) -> Tensor:
    """The grid point (B, 3) whose wave matches best what the fit leaves."""
    residual = law.equations.matched - fit.seen.mH @ fit.gains.to(torch.complex64)
    return grid.candidates[grid.energies(residual.mH).argmax(-1)]
