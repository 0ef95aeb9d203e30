"""Inner products of many rows of complex numbers.

A row holds its real parts, then its imaginary ones: (2, N) float32. Four products at a time keep
their sums in registers and load each number once: that is the speed of BLAS, without its calls.
"""

import numpy as np
from numpy.typing import NDArray

from risexp.estimation.kernels.compilation import kernel

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]

_ZERO = np.float32(0.0)


@kernel
def products(left: Floats, right: Floats, out: Floats) -> None:
    """Fill out[r, :, j] = left_j^H right_r, (R, 2, J), of rows (J, 2, N) and (R, 2, N)."""
    r, rights = 0, right.shape[0]
    while r + 4 <= rights:
        _with_four(left, right, (r, r + 1, r + 2, r + 3), out)
        r += 4
    if r + 2 <= rights:
        _with_two(left, right, (r, r + 1), out)
        r += 2
    if r < rights:
        _with_one(left, right[r], out[r])


@kernel
def selected_products(left: Floats, right: Floats, chosen: Integers, out: Floats) -> None:
    """Fill only the rows of `chosen` right ones."""
    r, rights = 0, chosen.size
    while r + 4 <= rights:
        _with_four(left, right, (chosen[r], chosen[r + 1], chosen[r + 2], chosen[r + 3]), out)
        r += 4
    if r + 2 <= rights:
        _with_two(left, right, (chosen[r], chosen[r + 1]), out)
        r += 2
    if r < rights:
        _with_one(left, right[chosen[r]], out[chosen[r]])


@kernel
def _with_four(left: Floats, right: Floats, four: tuple[int, int, int, int], out: Floats) -> None:
    """Products of all left rows with four right ones."""
    k, m, n, o = four
    a0, b0, a1, b1 = right[k, 0], right[k, 1], right[m, 0], right[m, 1]
    a2, b2, a3, b3 = right[n, 0], right[n, 1], right[o, 0], right[o, 1]
    for j in range(left.shape[0]):
        p, q = left[j, 0], left[j, 1]
        s0, s1, s2, s3 = _ZERO, _ZERO, _ZERO, _ZERO
        t0, t1, t2, t3 = _ZERO, _ZERO, _ZERO, _ZERO
        for i in range(p.size):
            x, y = p[i], q[i]
            s0 += x * a0[i] + y * b0[i]
            t0 += x * b0[i] - y * a0[i]
            s1 += x * a1[i] + y * b1[i]
            t1 += x * b1[i] - y * a1[i]
            s2 += x * a2[i] + y * b2[i]
            t2 += x * b2[i] - y * a2[i]
            s3 += x * a3[i] + y * b3[i]
            t3 += x * b3[i] - y * a3[i]
        out[k, 0, j], out[m, 0, j], out[n, 0, j], out[o, 0, j] = s0, s1, s2, s3
        out[k, 1, j], out[m, 1, j], out[n, 1, j], out[o, 1, j] = t0, t1, t2, t3


@kernel
def _with_two(left: Floats, right: Floats, two: tuple[int, int], out: Floats) -> None:
    """Products of all left rows, two at a time, with two right ones."""
    k, m = two
    a0, b0, a1, b1 = right[k, 0], right[k, 1], right[m, 0], right[m, 1]
    whole = left.shape[0] // 2 * 2
    for j in range(0, whole, 2):
        p0, q0, p1, q1 = left[j, 0], left[j, 1], left[j + 1, 0], left[j + 1, 1]
        s0, s1, s2, s3 = _ZERO, _ZERO, _ZERO, _ZERO
        t0, t1, t2, t3 = _ZERO, _ZERO, _ZERO, _ZERO
        for i in range(p0.size):
            w, x, y, z = a0[i], b0[i], a1[i], b1[i]
            s0 += p0[i] * w + q0[i] * x
            t0 += p0[i] * x - q0[i] * w
            s1 += p0[i] * y + q0[i] * z
            t1 += p0[i] * z - q0[i] * y
            s2 += p1[i] * w + q1[i] * x
            t2 += p1[i] * x - q1[i] * w
            s3 += p1[i] * y + q1[i] * z
            t3 += p1[i] * z - q1[i] * y
        out[k, 0, j], out[m, 0, j], out[k, 0, j + 1], out[m, 0, j + 1] = s0, s1, s2, s3
        out[k, 1, j], out[m, 1, j], out[k, 1, j + 1], out[m, 1, j + 1] = t0, t1, t2, t3
    if whole < left.shape[0]:
        _single(left[whole], right[k], out[k, :, whole:])
        _single(left[whole], right[m], out[m, :, whole:])


@kernel
def _with_one(left: Floats, right: Floats, out: Floats) -> None:
    """Products of all left rows, four at a time, with one right row."""
    a, b = right[0], right[1]
    whole = left.shape[0] // 4 * 4
    for j in range(0, whole, 4):
        p0, q0, p1, q1 = left[j, 0], left[j, 1], left[j + 1, 0], left[j + 1, 1]
        p2, q2, p3, q3 = left[j + 2, 0], left[j + 2, 1], left[j + 3, 0], left[j + 3, 1]
        s0, s1, s2, s3 = _ZERO, _ZERO, _ZERO, _ZERO
        t0, t1, t2, t3 = _ZERO, _ZERO, _ZERO, _ZERO
        for i in range(a.size):
            x, y = a[i], b[i]
            s0 += p0[i] * x + q0[i] * y
            t0 += p0[i] * y - q0[i] * x
            s1 += p1[i] * x + q1[i] * y
            t1 += p1[i] * y - q1[i] * x
            s2 += p2[i] * x + q2[i] * y
            t2 += p2[i] * y - q2[i] * x
            s3 += p3[i] * x + q3[i] * y
            t3 += p3[i] * y - q3[i] * x
        out[0, j], out[0, j + 1], out[0, j + 2], out[0, j + 3] = s0, s1, s2, s3
        out[1, j], out[1, j + 1], out[1, j + 2], out[1, j + 3] = t0, t1, t2, t3
    for j in range(whole, left.shape[0]):
        _single(left[j], right, out[:, j:])


@kernel
def _single(left: Floats, right: Floats, out: Floats) -> None:
    """One product."""
    p, q, a, b = left[0], left[1], right[0], right[1]
    s, t = _ZERO, _ZERO
    for i in range(a.size):
        s += p[i] * a[i] + q[i] * b[i]
        t += p[i] * b[i] - q[i] * a[i]
    out[0, 0], out[1, 0] = s, t


@kernel
def copy_row(row: Floats, into: Floats) -> None:
    """Copy a row (2, N) into another."""
    for part in range(2):
        for i in range(row.shape[1]):
            into[part, i] = row[part, i]


@kernel
def scale_row(row: Floats, scale: float) -> None:
    """Multiply a row (2, N) by a number."""
    by = np.float32(scale)
    for part in range(2):
        for i in range(row.shape[1]):
            row[part, i] *= by


@kernel
def add_scaled(row: Floats, scale: complex, into: Floats) -> None:
    """Add scale * row to another row, (2, N) each."""
    x, y = np.float32(scale.real), np.float32(scale.imag)
    a, b, c, d = row[0], row[1], into[0], into[1]
    for i in range(a.size):
        c[i] += x * a[i] - y * b[i]
        d[i] += x * b[i] + y * a[i]
