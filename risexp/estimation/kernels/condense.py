"""Frames of held symbols as normal equations.

W = (H^H H) o (C^H C),   b = sum_l conj(c_l) o (H^H y_l)
"""

import numpy as np

from risexp.estimation.kernels.compilation import entry, kernel
from risexp.estimation.kernels.products import Floats
from risexp.estimation.kernels.scene import Measured, Singles, Stack
from risexp.estimation.kernels.solving import Doubles

LANES = 8
"""Numbers of a vector; rows are padded to whole ones."""
_ZERO = np.float32(0.0)
QUIETEST = 10.0**-4.5
_SETTLED = 3e-2
_EXACT = 1e-12
"""As in `held_symbols`."""


@entry
def planar(rows: Singles, out: Floats) -> None:
    """Rows (R, N) as parts (R, 2, N'); what is beyond N stays."""
    for r in range(rows.shape[0]):
        for i in range(rows.shape[1]):
            out[r, 0, i] = rows[r, i].real
            out[r, 1, i] = rows[r, i].imag


@kernel
def hermitian(rows: Floats, out: Floats) -> None:
    """Fill out[n] = sum_r rows[r, n] conj(rows[r]) from n's block of lanes on; rows (R, 2, N)."""
    count, size = rows.shape[0], rows.shape[2]
    column = np.empty((2, count), np.float32)
    for n in range(size):
        for r in range(count):
            column[0, r], column[1, r] = rows[r, 0, n], rows[r, 1, n]
        mixed(column, rows, n // LANES * LANES, out[n])


@kernel
def mixed(scales: Floats, rows: Floats, start: int, out: Floats) -> None:
    """Fill sum_r scales[r] conj(rows[r]) from `start` on; scales (2, R), rows (R, 2, N)."""
    count, size = rows.shape[0], rows.shape[2] - start
    re, im = out[0, start:], out[1, start:]
    for i in range(size):
        re[i], im[i] = _ZERO, _ZERO
    whole = count // 4 * 4
    for r in range(0, whole, 4):
        a, b, c, d = scales[0, r], scales[0, r + 1], scales[0, r + 2], scales[0, r + 3]
        e, f, g, h = scales[1, r], scales[1, r + 1], scales[1, r + 2], scales[1, r + 3]
        p0, q0 = rows[r, 0, start:], rows[r, 1, start:]
        p1, q1 = rows[r + 1, 0, start:], rows[r + 1, 1, start:]
        p2, q2 = rows[r + 2, 0, start:], rows[r + 2, 1, start:]
        p3, q3 = rows[r + 3, 0, start:], rows[r + 3, 1, start:]
        for i in range(size):
            re[i] += (
                a * p0[i]
                + e * q0[i]
                + b * p1[i]
                + f * q1[i]
                + c * p2[i]
                + g * q2[i]
                + d * p3[i]
                + h * q3[i]
            )
            im[i] += (
                e * p0[i]
                - a * q0[i]
                + f * p1[i]
                - b * q1[i]
                + g * p2[i]
                - c * q2[i]
                + h * p3[i]
                - d * q3[i]
            )
    for r in range(whole, count):
        a, e, p, q = scales[0, r], scales[1, r], rows[r, 0, start:], rows[r, 1, start:]
        for i in range(size):
            re[i] += a * p[i] + e * q[i]
            im[i] += e * p[i] - a * q[i]


@kernel
def _mirror(gram: Floats) -> None:
    """Fill what lies left of the diagonal's blocks, block by block."""
    size = gram.shape[0]
    for row in range(0, size, LANES):
        for column in range(0, row, LANES):
            for n in range(row, row + LANES):
                for i in range(column, column + LANES):
                    gram[n, 0, i] = gram[i, 0, n]
                    gram[n, 1, i] = -gram[i, 1, n]


@kernel
def condensed(measured: Measured, size: int) -> Stack:
    """The normal equations of S scenes, padded to `size` elements."""
    scenes, snapshots, antennas = measured.y.shape
    stack = Stack(
        np.empty((scenes, size, 2, size), np.float32),
        np.empty((scenes, 2, size), np.float32),
        np.empty((scenes, 3)),
        snapshots * antennas,
    )
    channel = np.zeros((antennas, 2, size), np.float32)
    codes = np.zeros((snapshots, 2, size), np.float32)
    pairs = np.empty((size, 2, size), np.float32)
    for s in range(scenes):
        if s < measured.codes.shape[0]:
            planar(measured.codes[s], codes)
            hermitian(codes, pairs)
        planar(measured.channel[s], channel)
        _fill_gram(channel, pairs, stack.gram[s])
        stack.numbers[s, 0] = _fill_matched(channel, codes, measured.y[s], stack.matched[s])
        settle(measured.noise[s], stack.samples, stack.numbers[s])
    return stack


@kernel
def settle(noise: float, samples: int, numbers: Doubles) -> None:
    """Fill noise and tolerance (3,) after the energy, from the noise as it was given."""
    energy = numbers[0]
    numbers[1] = max(noise, QUIETEST * energy / samples, 1e-30)
    numbers[2] = max(_SETTLED * noise, _EXACT * energy)


@kernel
def _fill_gram(channel: Floats, pairs: Floats, gram: Floats) -> None:
    """Fill W's conjugated rows (N, 2, N); `pairs` is the `hermitian` of the codes."""
    hermitian(channel, gram)
    for n in range(gram.shape[0]):
        start = n // LANES * LANES
        a, b = gram[n, 0, start:], gram[n, 1, start:]
        c, d = pairs[n, 0, start:], pairs[n, 1, start:]
        for i in range(a.size):
            re = a[i] * c[i] - b[i] * d[i]
            b[i] = a[i] * d[i] + b[i] * c[i]
            a[i] = re
    _mirror(gram)


@kernel
def _fill_matched(channel: Floats, codes: Floats, y: Singles, matched: Floats) -> float:
    """Fill b (2, N); the energy of y (L, M)."""
    size = channel.shape[2]
    scales = np.empty((2, channel.shape[0]), np.float32)
    echo = np.empty((2, size), np.float32)
    for i in range(size):
        matched[0, i], matched[1, i] = _ZERO, _ZERO
    energy = 0.0
    for snapshot in range(y.shape[0]):
        for m in range(y.shape[1]):
            scales[0, m], scales[1, m] = y[snapshot, m].real, y[snapshot, m].imag
            energy += np.float64(scales[0, m]) ** 2 + np.float64(scales[1, m]) ** 2
        mixed(scales, channel, 0, echo)
        c, d = codes[snapshot, 0], codes[snapshot, 1]
        for i in range(size):
            matched[0, i] += c[i] * echo[0, i] + d[i] * echo[1, i]
            matched[1, i] += c[i] * echo[1, i] - d[i] * echo[0, i]
    return energy
