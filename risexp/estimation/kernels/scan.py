"""Passes over the search grid: where one more source explains most; the odds of a hidden one."""

from typing import NamedTuple

import numpy as np

from risexp.estimation.kernels.compilation import kernel
from risexp.estimation.kernels.products import Floats, Integers, products
from risexp.estimation.kernels.scene import GridArrays
from risexp.estimation.kernels.solving import Doubles

BLOCK = 16
"""Points at a time: their waves and products stay in a core's first cache."""
TOGETHER = 4
"""Residuals scanned at once for their loudest point."""
_RESOLVED = np.float32(0.3)
"""As in `held_symbols`."""
_VISIBLE = np.float32(6.0)
"""As in `pursuit`."""
_E1, _E2, _E3, _E4, _E5, _E6 = (
    np.float32(x) for x in (0.9999994, 0.50001266, 0.16656671, 0.04204009, 0.00762642, 0.00203099)
)
_ONE, _ZERO, _EIGHTH = np.float32(1.0), np.float32(0.0), np.float32(0.125)


class Level(NamedTuple):
    """What a scan of one scene measures with."""

    strength: float
    """Mean of |G a|^2 over all unit waves a."""
    noise: float


@kernel
def loudest(grid: GridArrays, first: int, residuals: Floats, block: Floats, best: Doubles) -> None:
    """Keep in `best` (4, 2), as energy and point, what each of four residuals (4, 2, N) meets best.

    The block begins with point `first`.
    """
    count = min(BLOCK, grid.points.shape[0] - first)
    products(grid.waves[first : first + count], residuals, block)
    for scene in range(TOGETHER):
        re, im = block[scene, 0], block[scene, 1]
        for g in range(count):
            energy = re[g] * re[g] + im[g] * im[g]
            if energy > best[scene, 0]:
                best[scene, 0] = energy
                best[scene, 1] = first + g


@kernel
def weighed(
    grid: GridArrays, first: int, rows: Floats, level: Level, block: Floats, gains: Floats
) -> float:
    """Fill the gains (G,) of a block's points; the summed odds of its hidden sources.

    The first of the rows (R, 2, N) is the residual, the others explain energy.
    """
    count = min(BLOCK, grid.points.shape[0] - first)
    products(grid.waves[first : first + count], rows, block)
    strength, per_noise = np.float32(level.strength), np.float32(1.0 / level.noise)
    least, left = _RESOLVED * strength, np.full(count, strength, np.float32)
    for k in range(1, rows.shape[0]):
        re, im = block[k, 0], block[k, 1]
        for g in range(count):
            left[g] -= re[g] * re[g] + im[g] * im[g]
    re, im = block[0, 0], block[0, 1]
    expected, prior = grid.expected[first : first + count], grid.prior[first : first + count]
    here, total = gains[first : first + count], _ZERO
    for g in range(count):
        seen = max(left[g], least)
        gain = (re[g] * re[g] + im[g] * im[g]) / seen * per_noise
        here[g] = gain
        ratio = expected[g] * seen * per_noise
        # exp(x) = exp(x / 8)^8 by a polynomial: a hidden source gains at most `_VISIBLE`.
        x = min(gain, _VISIBLE) * ratio / (_ONE + ratio) * _EIGHTH
        e = _ONE + x * (_E1 + x * (_E2 + x * (_E3 + x * (_E4 + x * (_E5 + x * _E6)))))
        e = e * e
        e = e * e
        hidden = prior[g] * (e * e) / (_ONE + ratio)
        total += hidden if left[g] > least and gain <= _VISIBLE else _ZERO
    return np.float64(total)


@kernel
def highest_peaks(grid: GridArrays, heights: Floats, out: Integers) -> int:
    """The places of the highest local maxima of heights (G,), into `out`; how many were found.

    Where there are fewer maxima, the highest other points follow.
    """
    found = _best_of(grid, heights, True, 0, out)
    return _best_of(grid, heights, False, found, out)


@kernel
def _best_of(grid: GridArrays, heights: Floats, are_peaks: bool, first: int, out: Integers) -> int:
    """Fill `out` from slot `first` on with the highest points that are peaks, or are none."""
    found, count = first, out.size
    if first == count:
        return found
    for g in range(heights.size):
        if found == count and not heights[g] > heights[out[count - 1]]:
            continue
        if _is_peak(grid, heights, g) == are_peaks:
            slot = min(found, count - 1)
            while slot > first and heights[out[slot - 1]] < heights[g]:
                out[slot] = out[slot - 1]
                slot -= 1
            out[slot] = g
            found = min(found + 1, count)
    return found


@kernel
def _is_peak(grid: GridArrays, heights: Floats, g: int) -> bool:
    """Whether none of the up to 26 neighbours is higher."""
    planes, rows, columns = grid.owners.shape
    cell = grid.cells[g]
    plane, rest = cell // (rows * columns), cell % (rows * columns)
    row, column = rest // columns, rest % columns
    for p in range(max(plane - 1, 0), min(plane + 2, planes)):
        for q in range(max(row - 1, 0), min(row + 2, rows)):
            for r in range(max(column - 1, 0), min(column + 2, columns)):
                other = grid.owners[p, q, r]
                if other >= 0 and heights[other] > heights[g]:
                    return False
    return True
