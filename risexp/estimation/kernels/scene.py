"""What the loops know of a receiver, of some scenes, and of the sources fitted so far."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from risexp.estimation.kernels.compilation import kernel
from risexp.estimation.kernels.products import Floats, Integers
from risexp.estimation.kernels.solving import Complexes, Doubles
from risexp.estimation.kernels.waves import Array

Singles = NDArray[np.complex64]
Flags = NDArray[np.bool_]

_EDGE = 1e-5
"""As in `receiver_model`: how far inside a limit a coordinate counts as lying on it."""


class Field(NamedTuple):
    """The field of view, and the longest steps inside it."""

    left: float
    right: float
    """Sines of the limits of azimuth."""
    low_v: float
    high_v: float
    low_rho: float
    high_rho: float
    reach: Doubles
    """Longest steps along u, v and rho, (3,)."""
    extent: Doubles
    """Widths along u, v and rho, (3,)."""
    area: float
    """Product of the widths in azimuth and elevation, rad^2."""
    low_m: float
    high_m: float
    """Limits of the range."""


class Law(NamedTuple):
    """The mean power of a source: `scale`, or `scale` rho^2 where it fades with range."""

    scale: float
    fades: bool


class GridArrays(NamedTuple):
    """The search grid, as `grid.Grid` holds it."""

    waves: Floats
    """Of the points inside, (G, 2, N)."""
    points: Floats
    """The points inside, (G, 3)."""
    expected: Floats
    """Mean power of a source at each of them, (G,)."""
    prior: Floats
    """Their probabilities, (G,)."""
    cells: Integers
    """The places of the points inside among all, (G,)."""
    owners: Integers
    """The point inside of each place, or -1: (R, V, U)."""


class Receiver(NamedTuple):
    """All that does not change from scene to scene."""

    array: Array
    field: Field
    law: Law
    grid: GridArrays


class Measured(NamedTuple):
    """The frames of S scenes."""

    channel: Singles
    """(S, M, N)"""
    codes: Singles
    """(S, L, N), or (1, L, N) where they are shared."""
    y: Singles
    """(S, L, M)"""
    noise: Doubles
    """sigma^2 as it was given, (S,)."""


class Stack(NamedTuple):
    """The normal equations of S scenes."""

    gram: Floats
    """W = G^H G, row by row: (S, N, 2, N); row n holds the conjugate of W[n]."""
    matched: Floats
    """b = G^H y, (S, 2, N)."""
    numbers: Doubles
    """Energy |y|^2, noise, and tolerance: the promised gain in misfit below which a fit has
    settled; (S, 3)."""
    samples: int
    """L M"""


class SceneEquations(NamedTuple):
    """Those of one scene."""

    gram: Floats
    """Without a row where W is the identity."""
    matched: Floats
    """b of each of Q right-hand sides, (Q, 2, N)."""
    energy: float
    noise: float
    tolerance: float
    samples: int


class SourceArrays(NamedTuple):
    """Up to K_MAX sources at points, and what is needed to move them."""

    points: Doubles
    """(K, 3): u, v, rho."""
    waves: Floats
    """a_k, (K, 2, N)."""
    through: Floats
    """W a_k, (K, 2, N)."""
    gains: Complexes
    """(Q, K)"""
    overlap: Complexes
    """A^H W A, (K, K)."""
    root: Complexes
    """Its loaded Cholesky root L, (K, K)."""
    answers: Complexes
    """L^-1 A^H b, (Q, K)."""


class Slopes(NamedTuple):
    """How the misfit turns as the sources move; coordinate 3 k + d is axis d of source k."""

    waves: Floats
    """Derivatives of a_k, (3 K, 2, N)."""
    through: Floats
    """W times the derivatives at `at`, (3 K, 2, N)."""
    at: Doubles
    """Points (K, 3) at which `through` was computed."""
    slope: Doubles
    """Minus half the gradient of the misfit, (3 K,)."""
    curvature: Doubles
    """Half the Gauss-Newton Hessian of the misfit, (3 K, 3 K)."""


class Work(NamedTuple):
    """The best sources of one scene so far, those tried, and the slopes of the best."""

    best: SourceArrays
    tried: SourceArrays
    slopes: Slopes


@kernel
def equations_of(stack: Stack, scene: int) -> SceneEquations:
    """The equations of one scene."""
    return SceneEquations(
        stack.gram[scene],
        stack.matched[scene : scene + 1],
        stack.numbers[scene, 0],
        stack.numbers[scene, 1],
        stack.numbers[scene, 2],
        stack.samples,
    )


@kernel
def new_sources(most: int, size: int, sides: int) -> SourceArrays:
    """Room for sources, and their gains on each right-hand side."""
    return SourceArrays(
        np.zeros((most, 3)),
        np.zeros((most, 2, size), np.float32),
        np.zeros((most, 2, size), np.float32),
        np.zeros((sides, most), np.complex128),
        np.zeros((most, most), np.complex128),
        np.zeros((most, most), np.complex128),
        np.zeros((sides, most), np.complex128),
    )


@kernel
def new_slopes(most: int, size: int) -> Slopes:
    """Room for slopes, none of them computed."""
    return Slopes(
        np.zeros((3 * most, 2, size), np.float32),
        np.zeros((3 * most, 2, size), np.float32),
        np.full((most, 3), np.inf),
        np.zeros(3 * most),
        np.zeros((3 * most, 3 * most)),
    )


@kernel
def clamp(field: Field, point: Doubles) -> None:
    """Move a point (3,) to the nearest one inside, coordinate by coordinate."""
    point[1] = min(max(point[1], field.low_v), field.high_v)
    across = np.sqrt(1.0 - point[1] * point[1])
    point[0] = min(max(point[0], field.left * across), field.right * across)
    point[2] = min(max(point[2], field.low_rho), field.high_rho)


@kernel
def is_held(field: Field, point: Doubles, axis: int, push: float) -> bool:
    """Whether a coordinate lies on a limit and is pushed against it (`View.held`)."""
    if push == 0.0:
        return False
    side = 1.0 if push > 0.0 else -1.0
    away = np.empty(3)
    copy_point(point, away)
    away[axis] += 2.0 * _EDGE * side
    clamp(field, away)
    return side * (away[axis] - point[axis]) < _EDGE


@kernel
def copy_point(point: Doubles, into: Doubles) -> None:
    """Copy a point (3,) into another."""
    for axis in range(3):
        into[axis] = point[axis]


@kernel
def mean_power(law: Law, rho: float) -> float:
    """Mean power of a source at an inverse range."""
    return law.scale * rho * rho if law.fades else law.scale
