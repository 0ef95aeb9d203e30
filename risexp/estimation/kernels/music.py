"""Recursive MUSIC: where steering vectors span a subspace best (`inference.spectral`)."""

import numpy as np

from risexp.estimation.kernels.compilation import entry, kernel
from risexp.estimation.kernels.condense import planar
from risexp.estimation.kernels.descent import descend, place, spanning_rows, weigh
from risexp.estimation.kernels.products import (
    Floats,
    Integers,
    add_scaled,
    products,
    scale_row,
)
from risexp.estimation.kernels.scan import BLOCK
from risexp.estimation.kernels.scene import (
    GridArrays,
    Receiver,
    SceneEquations,
    Singles,
    SourceArrays,
    Work,
    clamp,
    copy_point,
    new_slopes,
    new_sources,
)
from risexp.estimation.kernels.solving import Doubles

_SEARCH_STEPS, _LAST_STEPS = 4, 14
_ROUGH, _SETTLED = 1e-3, 1e-10
_RANK = 1e-5
_RESOLVED = np.float32(0.1)
"""As in `spectral`."""
_ZERO, _ONE = np.float32(0.0), np.float32(1.0)


@entry
def music(receiver: Receiver, bases: Singles, counts: Integers, points: Doubles) -> None:
    """Fill the points (S, K, 3) of the sources whose waves span orthonormal columns (S, Q, N)."""
    scenes, sides = bases.shape[0], bases.shape[1]
    most, size = points.shape[1], receiver.array.h.size
    basis = np.zeros((sides, 2, size), np.float32)
    found = new_sources(most, size, sides)
    room = new_sources(most, size, sides), new_sources(most, size, sides)
    work = Work(room[0], room[1], new_slopes(most, size))
    for s in range(scenes):
        planar(bases[s], basis)
        rough, last = _equations(basis, _ROUGH), _equations(basis, _SETTLED)
        for slot in range(counts[s]):
            best = work.best
            _next(receiver, basis, found, (slot, counts[s] - slot), best.points[0])
            place(receiver.array, rough, best, 0)
            descend(receiver, rough, work, 1, (_SEARCH_STEPS, 0.0))
            copy_point(best.points[0], found.points[slot])
            place(receiver.array, rough, found, slot)
            weigh(rough, found, slot + 1)
        for slot in range(counts[s]):
            copy_point(found.points[slot], work.best.points[slot])
            place(receiver.array, last, work.best, slot)
        descend(receiver, last, work, counts[s], (_LAST_STEPS, 0.0))
        for slot in range(counts[s]):
            copy_point(work.best.points[slot], points[s, slot])


@kernel
def _equations(basis: Floats, settled: float) -> SceneEquations:
    """Those of sources that are seen directly; a fit has settled at a share of the energy."""
    energy = 0.0
    for part in basis.ravel():
        energy += np.float64(part) ** 2
    direct = np.empty((0, 2, basis.shape[2]), np.float32)
    return SceneEquations(direct, basis, energy, 1.0, settled * energy, 1)


@kernel
def _next(
    receiver: Receiver,
    basis: Floats,
    found: SourceArrays,
    counts: tuple[int, int],
    point: Doubles,
) -> None:
    """Fill the grid point (3,) that the next source is nearest to.

    `counts` are of the sources found and of those left.
    """
    done, left = counts
    rows = np.zeros((done + left, 2, basis.shape[2]), np.float32)
    spanning_rows(found, rows[left:])
    _outside(basis, rows, left)
    at = _highest(receiver.grid, rows, left)
    for axis in range(3):
        point[axis] = receiver.grid.points[at, axis]
    clamp(receiver.field, point)


@kernel
def _outside(basis: Floats, rows: Floats, left: int) -> None:
    """Fill the first rows with the strongest directions of the basis outside the other rows."""
    sides, done = basis.shape[0], rows.shape[0] - left
    rest = basis.copy()
    along = np.empty((sides, 2, done), np.float32)
    products(rows[left:], basis, along)
    for side in range(sides):
        for i in range(done):
            add_scaled(rows[left + i], -complex(along[side, 0, i], along[side, 1, i]), rest[side])
    inner = np.empty((sides, 2, sides), np.float32)
    products(rest, rest, inner)
    overlap = np.empty((sides, sides), np.complex128)
    for i in range(sides):
        for j in range(sides):
            overlap[i, j] = complex(inner[j, 0, i], inner[j, 1, i])
    strength, turn = np.linalg.eigh(overlap)
    for i in range(min(left, sides)):
        own = sides - 1 - i
        if strength[own] > _RANK:
            for side in range(sides):
                add_scaled(rest[side], turn[side, own], rows[i])
            scale_row(rows[i], 1.0 / np.sqrt(strength[own]))


@kernel
def _highest(grid: GridArrays, rows: Floats, left: int) -> int:
    """The grid point whose wave, outside the later rows, lies most in the span of the first."""
    block = np.empty((rows.shape[0], 2, BLOCK), np.float32)
    inside, outside = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
    at, best = 0, np.float32(-1.0)
    for first in range(0, grid.points.shape[0], BLOCK):
        count = min(BLOCK, grid.points.shape[0] - first)
        products(grid.waves[first : first + count], rows, block)
        for g in range(count):
            inside[g], outside[g] = _ZERO, _ONE
        for k in range(rows.shape[0]):
            re, im = block[k, 0], block[k, 1]
            for g in range(count):
                energy = re[g] * re[g] + im[g] * im[g]
                inside[g] += energy if k < left else _ZERO
                outside[g] -= _ZERO if k < left else energy
        for g in range(count):
            if outside[g] >= _RESOLVED and inside[g] > best * outside[g]:
                at, best = first + g, inside[g] / outside[g]
    return at
