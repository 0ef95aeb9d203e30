"""The greedy search of some scenes at once, which share each pass over the grid."""

from typing import NamedTuple

import numpy as np

from risexp.estimation.kernels.compilation import kernel
from risexp.estimation.kernels.descent import descend, place, residual, spanning_rows, turn
from risexp.estimation.kernels.fits import FitArrays, fill_fit, fit_of
from risexp.estimation.kernels.products import Floats, Integers, copy_row, products
from risexp.estimation.kernels.scan import BLOCK, TOGETHER, Level, highest_peaks, loudest, weighed
from risexp.estimation.kernels.scene import (
    Flags,
    Receiver,
    SceneEquations,
    SourceArrays,
    Stack,
    Work,
    clamp,
    copy_point,
    equations_of,
)
from risexp.estimation.kernels.solving import Doubles, inverse_diagonal
from risexp.estimation.kernels.stacks import Works, new_works, work_of

_WEIGHED = 4
_NOWHERE = -100.0
"""As in `pursuit`."""
_RESOLVED = 0.3
"""As in `held_symbols`."""
_FAR = 0.05
"""How far a source may move, in longest steps, before its curvature is computed anew."""
_STEPS = 14
"""As in `descent.refine`."""


class QuickArrays(NamedTuple):
    """What a quick search finds in S scenes, as `pursuit.QuickPursuit` holds it."""

    points: Doubles
    """(S, K, 3)"""
    powers: Doubles
    """(S, K)"""
    power_spread: Doubles
    """(S, K)"""
    misfit: Doubles
    """(S, K + 1)"""


class Scans(NamedTuple):
    """A scan of S scenes for one more source than were found."""

    found: int
    rows: Floats
    """What is left, then what explains, (S, K + 1, 2, N); the first `found` + 1 are used."""
    gains: Floats
    """Of the grid's points, (S, G)."""
    hidden: Doubles
    """Log odds of a source that is too weak to be seen, (S,)."""


@kernel
def quick_search(receiver: Receiver, stack: Stack, steps: int, found: QuickArrays) -> None:
    """Find K_MAX sources in each scene, with few steps after each of them."""
    scenes, most = found.powers.shape
    size = stack.gram.shape[3]
    works = new_works(scenes, most, size)
    # Scenes are scanned by fours, so that no sum depends on how many there are.
    left = np.zeros((scenes + -scenes % TOGETHER, 2, size), np.float32)
    for s in range(scenes):
        found.misfit[s, 0] = stack.numbers[s, 0]
        copy_row(stack.matched[s], left[s])
    for slot in range(most):
        at = _loudest_points(receiver, left)
        for s in range(scenes):
            scene, work = equations_of(stack, s), work_of(works, s)
            for axis in range(3):
                work.best.points[slot, axis] = receiver.grid.points[at[s], axis]
            clamp(receiver.field, work.best.points[slot])
            place(receiver.array, scene, work.best, slot)
            misfit = descend(receiver, scene, work, slot + 1, (steps, _FAR))
            found.misfit[s, slot + 1] = misfit
            residual(scene, work.best, slot + 1, 0, left[s])
    for s in range(scenes):
        best = work_of(works, s).best
        inverse_diagonal(best.root, most, found.power_spread[s])
        for k in range(most):
            copy_point(best.points[k], found.points[s, k])
            found.powers[s, k] = best.gains[0, k].real ** 2 + best.gains[0, k].imag ** 2
            found.power_spread[s, k] *= stack.numbers[s, 1]


@kernel
def _loudest_points(receiver: Receiver, left: Floats) -> Integers:
    """The grid point that each of some fours of residuals (S, 2, N) meets best, (S,)."""
    grid, scenes = receiver.grid, left.shape[0]
    block, best = np.empty((TOGETHER, 2, BLOCK), np.float32), np.empty((scenes, 2))
    for s in range(scenes):
        best[s, 0], best[s, 1] = -1.0, 0.0
    for first in range(0, grid.points.shape[0], BLOCK):
        for s in range(0, scenes, TOGETHER):
            four = slice(s, s + TOGETHER)
            loudest(grid, first, left[four], block, best[four])
    at = np.empty(scenes, np.int64)
    for s in range(scenes):
        at[s] = np.int64(best[s, 1])
    return at


@kernel
def full_search(
    receiver: Receiver, stack: Stack, asked: Flags, fits: FitArrays, hidden: Doubles
) -> None:
    """Fill the fits of 0 .. K_MAX sources, and the log odds of one more, (S, K).

    Only the scenes that are `asked` (S,) are searched.
    """
    scenes, most = hidden.shape
    size = stack.gram.shape[3]
    works = new_works(scenes, most, size)
    rows = np.empty((scenes, most + 1, 2, size), np.float32)
    gains = np.empty((scenes, receiver.grid.points.shape[0]), np.float32)
    for s in range(scenes):
        if asked[s]:
            scene, fit = equations_of(stack, s), fit_of(fits, s, 0)
            fill_fit(receiver, scene, work_of(works, s), 0, scene.energy, fit)
    for found in range(most):
        _scan(receiver, stack, asked, works, Scans(found, rows, gains, hidden[:, found]))
        for s in range(scenes):
            if asked[s]:
                scene, work = equations_of(stack, s), work_of(works, s)
                _start(receiver, scene, rows[s][: found + 1], gains[s], work)
                misfit = descend(receiver, scene, work, found + 1, (_STEPS, _FAR))
                turn(receiver, scene, work, found + 1, 0.0)
                fit = fit_of(fits, s, found + 1)
                fill_fit(receiver, scene, work, found + 1, misfit, fit)


@kernel
def _scan(
    receiver: Receiver,
    stack: Stack,
    asked: Flags,
    works: Works,
    scans: Scans,
) -> None:
    """Fill the scans of the asked scenes."""
    many, hidden, scenes = scans.found + 1, scans.hidden, scans.rows.shape[0]
    block, strength = np.empty((many, 2, BLOCK), np.float32), np.empty(scenes)
    for s in range(scenes):
        if asked[s]:
            hidden[s], strength[s] = 0.0, _mean_strength(stack.gram[s], receiver.array.weight)
            rows = scans.rows[s][:many]
            _explaining_rows(equations_of(stack, s), work_of(works, s).best, rows)
    for first in range(0, receiver.grid.points.shape[0], BLOCK):
        for s in range(scenes):
            if asked[s]:
                level = Level(strength[s], stack.numbers[s, 1])
                rows, gains = scans.rows[s][:many], scans.gains[s]
                hidden[s] += weighed(receiver.grid, first, rows, level, block, gains)
    for s in range(scenes):
        if asked[s]:
            hidden[s] = max(np.log(max(hidden[s], 1e-300)), _NOWHERE)


@kernel
def _mean_strength(gram: Floats, weight: Floats) -> float:
    """Mean of |G a|^2 over all unit waves; elements without weight are padding."""
    total, elements = 0.0, 0
    for n in range(gram.shape[0]):
        total += gram[n, 0, n]
        elements += 1 if weight[n] > 0.0 else 0
    return total / elements


@kernel
def _explaining_rows(scene: SceneEquations, sources: SourceArrays, rows: Floats) -> None:
    """Fill the residual, then rows q_i: sum_i |a^H q_i|^2 is what the sources explain of a."""
    residual(scene, sources, rows.shape[0] - 1, 0, rows[0])
    spanning_rows(sources, rows[1:])


@kernel
def _start(
    receiver: Receiver, scene: SceneEquations, rows: Floats, gains: Floats, work: Work
) -> None:
    """Put the next source at that of the highest peaks which explains most by its own strength."""
    grid, tried, slot = receiver.grid, work.tried, rows.shape[0] - 1
    peaks = np.empty(_WEIGHED, np.int64)
    seen, own = np.empty((slot + 1, 2, 1), np.float32), np.empty((1, 2, 1), np.float32)
    best = -1.0
    for peak in range(highest_peaks(grid, gains, peaks)):
        for axis in range(3):
            tried.points[0, axis] = grid.points[peaks[peak], axis]
        clamp(receiver.field, tried.points[0])
        place(receiver.array, scene, tried, 0)
        products(tried.waves[:1], tried.through[:1], own)
        products(tried.waves[:1], rows, seen)
        strength = np.float64(own[0, 0, 0])
        left = strength
        for i in range(1, slot + 1):
            left -= seen[i, 0, 0] ** 2 + seen[i, 1, 0] ** 2
        gain = (seen[0, 0, 0] ** 2 + seen[0, 1, 0] ** 2) / max(left, _RESOLVED * strength)
        if peak == 0 or gain > best:
            best = gain
            copy_point(tried.points[0], work.best.points[slot])
            copy_row(tried.waves[0], work.best.waves[slot])
            copy_row(tried.through[0], work.best.through[slot])
