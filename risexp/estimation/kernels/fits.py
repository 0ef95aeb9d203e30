"""The Gaussian that the likelihood of one scene's fit resembles, as in `fit` and `held_symbols`."""

from typing import NamedTuple

import numpy as np

from risexp.estimation.kernels.compilation import kernel
from risexp.estimation.kernels.condense import QUIETEST
from risexp.estimation.kernels.scene import (
    Field,
    Law,
    Receiver,
    SceneEquations,
    SourceArrays,
    Work,
    copy_point,
    mean_power,
)
from risexp.estimation.kernels.solving import (
    Doubles,
    inverse_diagonal,
    loaded_root,
    real_root,
    real_solve,
    solve_lower,
)

_VAGUE = 0.1
_ROUNDING = 1e-10
"""As in `fit`."""


class FitArrays(NamedTuple):
    """A fit of up to K_MAX sources to one scene, as `fit.Fit` holds it."""

    points: Doubles
    """(K, 3)"""
    powers: Doubles
    """(K,)"""
    power_spread: Doubles
    """(K,)"""
    rho_mean: Doubles
    """(K,)"""
    rho_spread: Doubles
    """(K,)"""
    likelihood: Doubles
    """(2,): profile and log marginal."""


@kernel
def new_fits(scenes: int, most: int) -> FitArrays:
    """Room for the fits of 0 .. K_MAX sources to S scenes: (S, K + 1, ...)."""
    shape = scenes, most + 1, most
    return FitArrays(
        np.zeros((scenes, most + 1, most, 3)),
        np.zeros(shape),
        np.zeros(shape),
        np.zeros(shape),
        np.zeros(shape),
        np.zeros((scenes, most + 1, 2)),
    )


@kernel
def fit_of(fits: FitArrays, scene: int, count: int) -> FitArrays:
    """One scene's fit of so many sources."""
    return FitArrays(
        fits.points[scene, count],
        fits.powers[scene, count],
        fits.power_spread[scene, count],
        fits.rho_mean[scene, count],
        fits.rho_spread[scene, count],
        fits.likelihood[scene, count],
    )


@kernel
def fill_fit(
    receiver: Receiver, scene: SceneEquations, work: Work, count: int, misfit: float, fit: FitArrays
) -> None:
    """Condense what is known around the best sources; their slopes have to be current."""
    best = work.best
    inverse_diagonal(best.root, count, fit.power_spread)
    for k in range(count):
        copy_point(best.points[k], fit.points[k])
        fit.powers[k] = best.gains[0, k].real ** 2 + best.gains[0, k].imag ** 2
        fit.power_spread[k] *= scene.noise
    left = max(misfit, QUIETEST * scene.energy + 1e-300)
    fit.likelihood[0] = -scene.samples * np.log(left / scene.samples)
    volume = _gaussian(receiver.field, scene, work, count, fit)
    fit.likelihood[1] = _marginal(receiver.law, scene, best, count) + volume


@kernel
def _marginal(law: Law, scene: SceneEquations, sources: SourceArrays, count: int) -> float:
    """Log likelihood integrated over gains (`HeldSymbols._marginal`)."""
    scale = np.empty(count)
    for k in range(count):
        scale[k] = np.sqrt(mean_power(law, sources.points[k, 2]) / scene.noise)
    loud, root = np.empty((count, count), np.complex128), np.empty((count, count), np.complex128)
    inside = np.empty(count, np.complex128)
    for i in range(count):
        inside[i] = 0.0
        for j in range(count):
            loud[i, j] = sources.overlap[i, j] * scale[i] * scale[j]
            inside[i] += sources.overlap[i, j] * sources.gains[0, j]
        loud[i, i] += 1.0
        inside[i] *= scale[i] / np.sqrt(scene.noise)
    loaded_root(loud, count, root)
    solve_lower(root, count, inside)
    total = -scene.energy / scene.noise
    for i in range(count):
        total += inside[i].real ** 2 + inside[i].imag ** 2
        total -= 2.0 * np.log(max(root[i, i].real, 1e-300))
    return total


@kernel
def _gaussian(field: Field, scene: SceneEquations, work: Work, count: int, fit: FitArrays) -> float:
    """Fill the marginals along rho; the log volume (`Gaussian.of`)."""
    many, scale = 3 * count, 2.0 / scene.noise
    unit, own, ahead = np.empty((many, many)), np.empty(many), np.empty(many)
    volume = 0.5 * many * np.log(2.0 * np.pi)
    _normalise(field, scale, work, unit, own)
    for i in range(many):
        ahead[i] = scale * work.slopes.slope[i] * own[i]
        volume += np.log(own[i]) - np.log(max(unit[i, i], 1e-300))
    real_solve(unit, many, ahead)
    column = np.empty(many)
    for k in range(count):
        at, extent = 3 * k + 2, field.extent[2]
        for i in range(many):
            column[i] = 1.0 if i == at else 0.0
        real_solve(unit, many, column)
        fit.rho_spread[k] = np.sqrt(max(column[at] * own[at] * own[at], 1e-300))
        shift = min(max(ahead[at] * own[at], -extent), extent)
        fit.rho_mean[k] = work.best.points[k, 2] + shift
    return volume


@kernel
def _normalise(field: Field, scale: float, work: Work, unit: Doubles, own: Doubles) -> None:
    """Fill the root of the precision with unit diagonal, and what made it so."""
    curvature, many = work.slopes.curvature, own.size
    for i in range(many):
        width = field.extent[i % 3]
        prior = (_VAGUE if i % 3 == 2 else 12.0) / (width * width)
        own[i] = 1.0 / np.sqrt(max(scale * curvature[i, i] + prior, prior))
        unit[i, i] = (scale * curvature[i, i] + prior) * own[i] * own[i] + _ROUNDING
        for j in range(i):
            unit[i, j] = scale * curvature[i, j] * own[i] * own[j]
    if not real_root(unit, many):
        for i in range(many):
            for j in range(many):
                unit[i, j] = 1.0 if i == j else 0.0
