"""Greedy search: add the source that explains most, move all jointly, and keep every order.

(B. Mamandipoor, D. Ramasamy, U. Madhow, Newtonized orthogonal matching pursuit, IEEE Trans. Signal
Processing 64, 2016, for lines in a spectrum; here for points in the near field.)
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from risexp.data.frames import Frames
from risexp.estimation.descent import approach
from risexp.estimation.fit import Fit, Scan
from risexp.estimation.fresh_symbols import FreshSymbols
from risexp.estimation.grid import Grid, highest_peaks, search_grid
from risexp.estimation.held_symbols import HeldSymbols
from risexp.estimation.projection import Solution, loaded_root, solve
from risexp.estimation.receiver_model import ReceiverModel, noise_power

Law = HeldSymbols | FreshSymbols
"""The likelihood of some scenes under one law of the symbols."""

_WEIGHED = 4
"""Peaks of a scan that are weighed exactly before one is chosen."""
_VISIBLE = 6.0
"""Gain in log likelihood from which a peak is a source of its own order, and no hidden one."""
_NOWHERE = -100.0
"""Log odds of a hidden source where every point of the grid is visible; a finite number."""

_SCENES = 128
"""Scenes searched at once: on a CPU, what its cache holds."""


@dataclass(frozen=True)
class Pursuit:
    """The fits of 0 .. K_MAX sources to the same scenes."""

    fits: tuple[Fit, ...]
    hidden: Tensor
    """(B, K_MAX): log odds that one more source is there, too weak to be seen, after each of the
    fits of 0 .. K_MAX - 1 sources."""


def law_of(receiver: ReceiverModel, frames: Frames, noise: Tensor) -> Law:
    """The likelihood of frames under the law of the symbols that is configured."""
    match receiver.symbols:
        case "frame":
            return HeldSymbols.of(receiver, frames, noise)
        case "snapshot":
            return FreshSymbols.of(receiver, frames, noise)


def pursue(law: Law, grid: Grid, sources_max: int) -> Pursuit:
    """Fit one source after another."""
    fits, hidden = [law.silence()], []
    for _ in range(sources_max):
        scan = law.scan(fits[-1], grid)
        hidden.append(_hidden(scan, grid.prior))
        fits.append(law.extended(fits[-1], _start(law, fits[-1], grid, scan)))
    return Pursuit(tuple(fits), torch.stack(hidden, dim=-1))


def _start(law: Law, fit: Fit, grid: Grid, scan: Scan) -> Tensor:
    """Where to put the next source (B, 3): of the scan's best peaks the one that explains most.

    The scan takes every point's strength for the mean one, which is off by several per cent; the
    few best are weighed by their own, inside the view: some points of the grid lie just beyond it.
    """
    peaks = law.receiver.view.clamp(highest_peaks(grid, scan.gain, _WEIGHED))
    best = law.gains(fit, peaks).argmax(-1)
    return peaks[torch.arange(len(peaks), device=best.device), best]


def _hidden(scan: Scan, prior: Tensor) -> Tensor:
    odds = scan.log_odds.masked_fill(scan.gain > _VISIBLE, -torch.inf)
    return (odds.double() + prior).logsumexp(-1).clamp(min=_NOWHERE)


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
    """(B,) float64: sigma^2 by the frames."""
    samples: int
    """L M"""


def quick_pursuit(receiver: ReceiverModel, frames: Frames, steps: int) -> QuickPursuit:
    """Find K_MAX sources in each scene with few steps, for a network that judges them.

    The search of `pursue` without evidence, exact weighing of peaks, or convergence. What is left
    unexplained after a source is kept: it tells a count.

    The receiver has held symbols; `steps` Gauss-Newton steps follow each source.
    """
    if receiver.is_compiled(frames.y.device):
        return _compiled(receiver, frames, steps)
    parts = [_few(receiver, part, steps) for part in frames.split(_SCENES)]
    names = ("points", "powers", "power_spread", "misfit", "noise_power")
    columns = {name: torch.cat([getattr(part, name) for part in parts]) for name in names}
    return QuickPursuit(**columns, samples=parts[0].samples)


def _compiled(receiver: ReceiverModel, frames: Frames, steps: int) -> QuickPursuit:
    # Not at the top: Numba is slow to import, and may be missing.
    from risexp.estimation.compiled import quick_sources

    found = quick_sources(receiver, frames, noise_power(frames, "frame"), steps)
    return QuickPursuit(*found, frames.y.shape[-2] * frames.y.shape[-1])


def _few(receiver: ReceiverModel, frames: Frames, steps: int) -> QuickPursuit:
    law = HeldSymbols.of(receiver, frames)
    grid = search_grid(receiver.panel, receiver.view, law.noise_power.device)
    equations, panel = law.equations, receiver.panel
    points = equations.energy.new_zeros((len(frames), 0, 3), dtype=torch.float32)
    fit = solve(panel, equations, points)
    misfit = [fit.misfit]
    for _ in range(receiver.view.sources_max):
        started = torch.cat([fit.points, _next(law, fit, grid).unsqueeze(1)], dim=1)
        fit = approach(receiver, equations, started, law.tolerance, steps)
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
