"""Move the sources of one scene downhill in its misfit, as in `estimation.descent`.

A damped Gauss-Newton step needs W a of the sources that moved; W times the slopes changes so slowly
that it is taken again only for those that moved far. The slope itself is exact at every step, so
the fit converges to the same point.
"""

import numpy as np

from risexp.estimation.kernels.compilation import kernel
from risexp.estimation.kernels.products import (
    Floats,
    Integers,
    add_scaled,
    copy_row,
    products,
    scale_row,
    selected_products,
)
from risexp.estimation.kernels.scene import (
    Field,
    Receiver,
    SceneEquations,
    SourceArrays,
    Work,
    clamp,
    copy_point,
    is_held,
)
from risexp.estimation.kernels.solving import (
    Complexes,
    Doubles,
    loaded_root,
    real_root,
    real_solve,
    solve_lower,
    solve_upper,
)
from risexp.estimation.kernels.waves import Array, wave, wave_and_slopes

_ROUNDING = 1e-6
_DAMPING = 1e-3
"""As in `descent`."""
_IDLE = 0.1
"""Share of the tolerance that the sources which stay where they are may promise together."""


@kernel
def descend(
    receiver: Receiver, scene: SceneEquations, work: Work, count: int, limits: tuple[int, float]
) -> float:
    """Move the first `count` best sources; the misfit in the end.

    `limits` are the most steps, and how far a source may move, in longest steps, until W times its
    slopes is computed again.
    """
    best, slopes = work.best, work.slopes
    misfit, step = weigh(scene, best, count), np.empty(3 * count)
    damping, moved = _DAMPING, True
    for _ in range(limits[0]):
        if moved:
            turn(receiver, scene, work, count, limits[1])
        moved = False
        if _damped_step(receiver.field, work, count, damping, step):
            promised = 0.0
            for i in range(3 * count):
                promised += step[i] * slopes.slope[i]
            if not promised > scene.tolerance:
                break
            _try(receiver, scene, work, count, step)
            error = weigh(scene, work.tried, count)
            moved = -_ROUNDING * scene.energy < error < misfit + _ROUNDING * scene.energy
            if moved:
                misfit = error
                _accept(work.tried, best, count)
        damping = min(max(damping * (0.2 if moved else 8.0), 1e-6), 1e6)
    return misfit


@kernel
def place(array: Array, scene: SceneEquations, sources: SourceArrays, slot: int) -> None:
    """Compute the wave of the point in a slot, and W times it."""
    one = slice(slot, slot + 1)
    wave(array, sources.points[slot], sources.waves[slot])
    if scene.gram.shape[0] > 0:
        products(scene.gram, sources.waves[one], sources.through[one])
    else:
        copy_row(sources.waves[slot], sources.through[slot])


@kernel
def weigh(scene: SceneEquations, sources: SourceArrays, count: int) -> float:
    """Compute the best gains of the sources; the misfit that they leave."""
    sides = scene.matched.shape[0]
    blocks = np.empty((count, 2, count), np.float32)
    matched = np.empty((sides, 2, count), np.float32)
    products(sources.waves[:count], sources.through[:count], blocks)
    products(sources.waves[:count], scene.matched, matched)
    for i in range(count):
        for j in range(count):
            sources.overlap[i, j] = complex(blocks[j, 0, i], blocks[j, 1, i])
    loaded_root(sources.overlap, count, sources.root)
    explained = 0.0
    for side in range(sides):
        answers, gains = sources.answers[side], sources.gains[side]
        for i in range(count):
            answers[i] = complex(matched[side, 0, i], matched[side, 1, i])
        solve_lower(sources.root, count, answers)
        for i in range(count):
            gains[i] = answers[i]
            explained += answers[i].real ** 2 + answers[i].imag ** 2
        solve_upper(sources.root, count, gains)
    return scene.energy - explained


@kernel
def residual(
    scene: SceneEquations, sources: SourceArrays, count: int, side: int, out: Floats
) -> None:
    """Fill b - W A S of one right-hand side, (2, N)."""
    copy_row(scene.matched[side], out)
    for k in range(count):
        add_scaled(sources.through[k], -sources.gains[side, k], out)


@kernel
def spanning_rows(sources: SourceArrays, rows: Floats) -> None:
    """Fill rows q_i, one a source: sum_i |a^H q_i|^2 is what the sources explain of a wave a."""
    for i in range(rows.shape[0]):
        copy_row(sources.through[i], rows[i])
        for j in range(i):
            add_scaled(rows[j], -sources.root[i, j].conjugate(), rows[i])
        scale_row(rows[i], 1.0 / sources.root[i, i].real)


@kernel
def _through(scene: SceneEquations, waves: Floats, chosen: Integers, out: Floats) -> None:
    """Fill W a of the chosen waves."""
    if scene.gram.shape[0] > 0:
        selected_products(scene.gram, waves, chosen, out)
    else:
        for at in chosen:
            copy_row(waves[at], out[at])


@kernel
def turn(receiver: Receiver, scene: SceneEquations, work: Work, count: int, far: float) -> None:
    """Compute slope and curvature of the misfit at the best sources.

    W times the slopes is computed again for sources that moved by more than `far` longest steps.
    """
    best, slopes, many = work.best, work.slopes, 3 * count
    moved, turned = np.empty(many, np.int64), 0
    for k in range(count):
        own = slopes.waves[3 * k : 3 * k + 3]
        wave_and_slopes(receiver.array, best.points[k], best.waves[k], own)
        if _distance(receiver.field, best.points[k], slopes.at[k]) > far:
            copy_point(best.points[k], slopes.at[k])
            for axis in range(3):
                moved[turned] = 3 * k + axis
                turned += 1
    _through(scene, slopes.waves, moved[:turned], slopes.through)
    sides, size = scene.matched.shape[0], scene.matched.shape[2]
    left, pull = np.empty((sides, 2, size), np.float32), np.empty((sides, 2, many), np.float32)
    for side in range(sides):
        residual(scene, best, count, side, left[side])
    products(slopes.waves[:many], left, pull)
    slopes.slope[:many] = 0.0
    for side in range(sides):
        own, re, im = best.gains[side], pull[side, 0], pull[side, 1]
        for i in range(many):
            gain = own[i // 3]
            slopes.slope[i] += gain.real * re[i] + gain.imag * im[i]
    _bend(work, count)


@kernel
def _bend(work: Work, count: int) -> None:
    """Fill the curvature: slopes less their share in the span of the waves, times the gains."""
    best, slopes, many = work.best, work.slopes, 3 * count
    inner = np.empty((many, 2, many), np.float32)
    for r in range(0, many, 4):
        four = slice(r, min(r + 4, many))
        products(slopes.waves[r:many], slopes.through[four], inner[four, :, r:])
    spanned, powers = _spanned(work, count), _powers(best.gains, count)
    for i in range(many):
        for j in range(i + 1):
            rest = complex(inner[j, 0, i], inner[j, 1, i])
            for k in range(count):
                rest -= spanned[i, k].conjugate() * spanned[j, k]
            slopes.curvature[i, j] = (rest * powers[i // 3, j // 3]).real
            slopes.curvature[j, i] = slopes.curvature[i, j]


@kernel
def _powers(gains: Complexes, count: int) -> Complexes:
    """Sums over the right-hand sides of conj(S_k) S_l, (k, k)."""
    powers = np.zeros((count, count), np.complex128)
    for side in range(gains.shape[0]):
        own = gains[side]
        for k in range(count):
            for j in range(k + 1):
                powers[k, j] += own[k].conjugate() * own[j]
    return powers


@kernel
def _spanned(work: Work, count: int) -> Complexes:
    """L^-1 A^H W D, one row a slope: (3 k, k)."""
    many = 3 * count
    crossed = np.empty((count, 2, many), np.float32)
    products(work.slopes.waves[:many], work.best.through[:count], crossed)
    rows = np.empty((many, count), np.complex128)
    for i in range(many):
        for k in range(count):
            rows[i, k] = complex(crossed[k, 0, i], -crossed[k, 1, i])
        solve_lower(work.best.root, count, rows[i])
    return rows


@kernel
def _distance(field: Field, point: Doubles, other: Doubles) -> float:
    """The largest distance along an axis, in longest steps."""
    away = 0.0
    for axis in range(3):
        away = max(away, abs(point[axis] - other[axis]) / field.reach[axis])
    return away


@kernel
def _damped_step(field: Field, work: Work, count: int, damping: float, step: Doubles) -> bool:
    """Solve (curvature + damping diag) step = slope over the coordinates that are free to move."""
    slopes, many = work.slopes, 3 * count
    system, free = np.empty((many, many)), np.empty(many)
    for i in range(many):
        held = is_held(field, work.best.points[i // 3], i % 3, slopes.slope[i])
        free[i] = 0.0 if held else 1.0
        step[i] = free[i] * slopes.slope[i]
    for i in range(many):
        for j in range(i):
            system[i, j] = free[i] * free[j] * slopes.curvature[i, j]
        own = max(slopes.curvature[i, i], 1e-300)
        system[i, i] = free[i] * slopes.curvature[i, i] + (damping if free[i] > 0.0 else 1.0) * own
    if not real_root(system, many):
        return False
    real_solve(system, many, step)
    return True


@kernel
def _try(receiver: Receiver, scene: SceneEquations, work: Work, count: int, step: Doubles) -> None:
    """Put the tried sources a step ahead, shortened to stay on their lobes and inside the view."""
    field, best, tried, slope = receiver.field, work.best, work.tried, work.slopes.slope
    longest = 1.0
    for i in range(3 * count):
        longest = max(longest, abs(step[i]) / field.reach[i % 3])
    moved, many = np.empty(count, np.int64), 0
    for k in range(count):
        promised = 0.0
        for axis in range(3):
            promised += abs(step[3 * k + axis] * slope[3 * k + axis])
            tried.points[k, axis] = best.points[k, axis] + step[3 * k + axis] / longest
        clamp(field, tried.points[k])
        if promised > _IDLE * scene.tolerance / count:
            wave(receiver.array, tried.points[k], tried.waves[k])
            moved[many] = k
            many += 1
        else:
            _copy(best, tried, k)
    _through(scene, tried.waves, moved[:many], tried.through)


@kernel
def _accept(tried: SourceArrays, best: SourceArrays, count: int) -> None:
    """Take over the sources that were tried."""
    for k in range(count):
        _copy(tried, best, k)
        for side in range(best.gains.shape[0]):
            best.gains[side, k] = tried.gains[side, k]
            best.answers[side, k] = tried.answers[side, k]
        for j in range(count):
            best.overlap[k, j] = tried.overlap[k, j]
            best.root[k, j] = tried.root[k, j]


@kernel
def _copy(source: SourceArrays, into: SourceArrays, slot: int) -> None:
    """Copy one source's point, wave and product."""
    copy_point(source.points[slot], into.points[slot])
    copy_row(source.waves[slot], into.waves[slot])
    copy_row(source.through[slot], into.through[slot])
