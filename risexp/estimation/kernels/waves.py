"""Steering vectors of one point and their slopes, as `physics.steering` defines them.

The phase is counted in turns, t = Delta / lambda less the nearest whole number, so that no wide
argument meets a polynomial: with s = sin(pi t) and c = cos(pi t), cos(2 pi t) = 1 - 2 s^2 and
sin(2 pi t) = 2 s c.
"""

from typing import Final, NamedTuple

import numpy as np

from risexp.estimation.kernels.compilation import kernel
from risexp.estimation.kernels.products import Floats

SPHERICAL, FRESNEL, PARABOLIC = 0, 1, 2
WAVEFRONTS: Final = {"spherical": SPHERICAL, "fresnel": FRESNEL, "parabolic": PARABOLIC}

_S0, _S1, _S2, _S3, _S4 = (
    np.float32(x) for x in (3.14159264, -5.16771008, 2.55007752, -0.59829129, 0.07765766)
)
_C1, _C2, _C3, _C4, _C5 = (
    np.float32(x) for x in (-4.93480214, 4.05870916, -1.335212, 0.23493731, -0.02439632)
)
_ONE, _TWO, _HALF, _TINY = (np.float32(x) for x in (1.0, 2.0, 0.5, 1e-12))


class Array(NamedTuple):
    """The panel's elements, padded with elements of no weight."""

    h: Floats
    """Offset along h in m, (N,)."""
    v: Floats
    """Offset along v in m, (N,)."""
    square: Floats
    """h^2 + v^2, (N,)."""
    weight: Floats
    """1 / sqrt(N), or zero beyond the panel."""
    per_metre: float
    """1 / lambda"""
    wavefront: int
    """0 spherical, 1 Fresnel, 2 parabolic."""


@kernel
def wave(array: Array, point: Floats, out: Floats) -> None:
    """The unit wave of a point (3,): u, v, rho; into (2, N)."""
    delta = np.empty_like(array.h)
    _paths(array, point, delta)
    _turned(array, delta, out)


@kernel
def wave_and_slopes(array: Array, point: Floats, out: Floats, slopes: Floats) -> None:
    """The unit wave and its slopes along u, v and rho into (3, 2, N), less their parts along it.

    Such a part changes the gain's phase and no misfit. Without it the slopes of one point serve
    for a while for its neighbours.
    """
    delta, ones = np.empty_like(array.h), np.ones_like(array.h)
    along_s, along_rho = np.empty_like(array.h), np.empty_like(array.h)
    _paths(array, point, delta)
    _path_slopes(array, point, delta, along_s, along_rho)
    _turned(array, delta, out)
    _axis_slope(array, array.h, along_s, out, slopes[0])
    _axis_slope(array, array.v, along_s, out, slopes[1])
    _axis_slope(array, ones, along_rho, out, slopes[2])


@kernel
def _axis_slope(array: Array, offset: Floats, along: Floats, wave: Floats, slope: Floats) -> None:
    """Fill -j k0 (f - mean f) a with f = offset * along, (2, N)."""
    weight, wavenumber = array.weight, np.float32(2.0 * np.pi * array.per_metre)
    mean, total = np.float32(0.0), np.float32(0.0)
    for i in range(weight.size):
        mean += weight[i] * offset[i] * along[i]
        total += weight[i]
    mean /= total
    for i in range(weight.size):
        turn = wavenumber * (offset[i] * along[i] - mean)
        slope[0, i] = turn * wave[1, i]
        slope[1, i] = -turn * wave[0, i]


@kernel
def _paths(array: Array, point: Floats, delta: Floats) -> None:
    """Path differences in m."""
    h, v, square = array.h, array.v, array.square
    x, y, rho = np.float32(point[0]), np.float32(point[1]), np.float32(point[2])
    if array.wavefront == SPHERICAL:
        for i in range(h.size):
            excess = square[i] * rho - _TWO * (x * h[i] + y * v[i])
            stretch = np.sqrt(max(_ONE + rho * excess, _TINY))
            delta[i] = excess / (stretch + _ONE)
    elif array.wavefront == FRESNEL:
        for i in range(h.size):
            s = x * h[i] + y * v[i]
            delta[i] = _HALF * rho * (square[i] - s * s) - s
    else:
        for i in range(h.size):
            delta[i] = _HALF * rho * square[i] - (x * h[i] + y * v[i])


@kernel
def _path_slopes(
    array: Array, point: Floats, delta: Floats, along_s: Floats, along_rho: Floats
) -> None:
    """Slopes of the path differences along the projection s and along rho."""
    h, v, square = array.h, array.v, array.square
    x, y, rho = np.float32(point[0]), np.float32(point[1]), np.float32(point[2])
    if array.wavefront == SPHERICAL:
        for i in range(h.size):
            s = x * h[i] + y * v[i]
            stretch = np.sqrt(max(_ONE + rho * (square[i] * rho - _TWO * s), _TINY))
            along_s[i] = -_ONE / stretch
            along_rho[i] = (square[i] + s * delta[i]) / (stretch * (stretch + _ONE))
    elif array.wavefront == FRESNEL:
        for i in range(h.size):
            s = x * h[i] + y * v[i]
            along_s[i] = -_ONE - rho * s
            along_rho[i] = _HALF * (square[i] - s * s)
    else:
        for i in range(h.size):
            along_s[i] = -_ONE
            along_rho[i] = _HALF * square[i]


@kernel
def _turned(array: Array, delta: Floats, out: Floats) -> None:
    """exp(-2 pi j delta / lambda), weighed."""
    per_metre = np.float32(array.per_metre)
    weight, re, im = array.weight, out[0], out[1]
    for i in range(delta.size):
        turns = delta[i] * per_metre
        t = turns - np.floor(turns + _HALF)
        q = t * t
        s = t * (_S0 + q * (_S1 + q * (_S2 + q * (_S3 + q * _S4))))
        c = _ONE + q * (_C1 + q * (_C2 + q * (_C3 + q * (_C4 + q * _C5))))
        re[i] = weight[i] * (_ONE - _TWO * s * s)
        im[i] = -weight[i] * _TWO * s * c
