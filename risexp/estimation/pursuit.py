"""Greedy search: add the source that explains most, move all jointly, and keep every order.

(B. Mamandipoor, D. Ramasamy, U. Madhow, Newtonized orthogonal matching pursuit, IEEE Trans. Signal
Processing 64, 2016, for lines in a spectrum; here for points in the near field.)
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from risexp.estimation.grid import Grid
from risexp.estimation.law import Fit, Law, Scan
from risexp.estimation.peaks import highest_peaks

_WEIGHED = 4
"""Peaks of a scan that are weighed exactly before one is chosen."""
_VISIBLE = 6.0
"""Gain in log likelihood from which a peak is a source of its own order, and no hidden one."""
_NOWHERE = -100.0
"""Log odds of a hidden source where every point of the grid is visible; a finite number."""


@dataclass(frozen=True)
class Pursuit:
    """The fits of 0 .. K_MAX sources to the same scenes."""

    fits: tuple[Fit, ...]
    hidden: Tensor
    """(B, K_MAX): log odds that one more source is there, too weak to be seen, after each of the
    fits of 0 .. K_MAX - 1 sources."""


def pursue(law: Law, grid: Grid, sources_max: int) -> Pursuit:
    """Fit one source after another.

    Args:
        law: The likelihood of the scenes.
        grid: Where a new source is looked for.
        sources_max: K_MAX.
    """
    fits, hidden = [law.silence()], []
    for _ in range(sources_max):
        scan = law.scan(fits[-1], grid)
        hidden.append(_hidden(scan, grid.prior))
        fits.append(law.extended(fits[-1], _start(law, fits[-1], grid, scan)))
    return Pursuit(tuple(fits), torch.stack(hidden, dim=-1))


def _start(law: Law, fit: Fit, grid: Grid, scan: Scan) -> Tensor:
    """Where to put the next source (B, 3): of the scan's best peaks the one that explains most.

    The scan takes every point's strength for the mean one, which is off by several per cent; the
    few best are weighed by their own.
    """
    peaks = highest_peaks(grid, scan.gain, _WEIGHED)
    best = law.gains(fit, peaks).argmax(-1)
    return peaks[torch.arange(len(peaks), device=best.device), best]


def _hidden(scan: Scan, prior: Tensor) -> Tensor:
    odds = scan.log_odds.masked_fill(scan.gain > _VISIBLE, -torch.inf)
    return (odds.double() + prior).logsumexp(-1).clamp(min=_NOWHERE)
