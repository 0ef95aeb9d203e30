"""Small dense systems in double precision: roots of overlaps, and the damped step."""

import numpy as np
from numpy.typing import NDArray

from risexp.estimation.kernels.compilation import kernel

Complexes = NDArray[np.complex128]
Doubles = NDArray[np.float64]

_LOAD = 1e-9
_LOST = 1e-6
_HEAVY = 8e-6
"""As in `projection.loaded_root`."""


@kernel
def loaded_root(overlap: Complexes, count: int, root: Complexes) -> None:
    """Fill the lower root of a Hermitian overlap, as `projection.loaded_root`."""
    mean = 1e-30
    for i in range(count):
        mean += overlap[i, i].real / count
    sound = _rooted(overlap, count, _LOAD * mean, root)
    for i in range(count):
        sound = sound and (root[i, i].real ** 2 >= _LOST * mean or overlap[i, i].real <= 0.0)
    if not sound:
        _rooted(overlap, count, _HEAVY * mean, root)


@kernel
def _rooted(overlap: Complexes, count: int, load: float, root: Complexes) -> bool:
    """Whether the loaded overlap has a root; a pivot that is not positive is taken for the load."""
    sound = True
    for i in range(count):
        for j in range(i):
            rest = overlap[i, j]
            for q in range(j):
                rest -= root[i, q] * root[j, q].conjugate()
            root[i, j] = rest / root[j, j].real
        pivot = overlap[i, i].real + load
        for q in range(i):
            pivot -= root[i, q].real ** 2 + root[i, q].imag ** 2
        if not pivot > 0.0:
            sound, pivot = False, load
        root[i, i] = np.sqrt(pivot)
    return sound


@kernel
def solve_lower(root: Complexes, count: int, column: Complexes) -> None:
    """Replace a column by L^-1 times it."""
    for i in range(count):
        rest = column[i]
        for q in range(i):
            rest -= root[i, q] * column[q]
        column[i] = rest / root[i, i].real


@kernel
def solve_upper(root: Complexes, count: int, column: Complexes) -> None:
    """Replace a column by L^-H times it."""
    for i in range(count - 1, -1, -1):
        rest = column[i]
        for q in range(i + 1, count):
            rest -= root[q, i].conjugate() * column[q]
        column[i] = rest / root[i, i].real


@kernel
def inverse_diagonal(root: Complexes, count: int, out: Doubles) -> None:
    """Diagonal of (L L^H)^-1."""
    column = np.empty(count, np.complex128)
    for j in range(count):
        for i in range(count):
            column[i] = 1.0 if i == j else 0.0
        solve_lower(root, count, column)
        total = 0.0
        for i in range(j, count):
            total += column[i].real ** 2 + column[i].imag ** 2
        out[j] = total


@kernel
def real_root(matrix: Doubles, size: int) -> bool:
    """Replace the lower triangle by its Cholesky root; false where there is none."""
    for j in range(size):
        pivot = matrix[j, j]
        for q in range(j):
            pivot -= matrix[j, q] * matrix[j, q]
        if not pivot > 0.0:
            return False
        pivot = np.sqrt(pivot)
        matrix[j, j] = pivot
        for i in range(j + 1, size):
            rest = matrix[i, j]
            for q in range(j):
                rest -= matrix[i, q] * matrix[j, q]
            matrix[i, j] = rest / pivot
    return True


@kernel
def real_solve(root: Doubles, size: int, column: Doubles) -> None:
    """Replace a column by (L L^T)^-1 times it."""
    for i in range(size):
        rest = column[i]
        for q in range(i):
            rest -= root[i, q] * column[q]
        column[i] = rest / root[i, i]
    for i in range(size - 1, -1, -1):
        rest = column[i]
        for q in range(i + 1, size):
            rest -= root[q, i] * column[q]
        column[i] = rest / root[i, i]
