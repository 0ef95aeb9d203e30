"""Posterior of one fitted source's range, as in `estimation.ranging`."""

import numpy as np

from risexp.estimation.kernels.compilation import kernel
from risexp.estimation.kernels.fits import FitArrays
from risexp.estimation.kernels.scene import Receiver, mean_power
from risexp.estimation.kernels.solving import Doubles

NODES = 97
_REACH = 6.0
_TOLERANCE_M = 1.0
_NEARER = 1e-3
"""As in `ranging`."""


@kernel
def believe(
    receiver: Receiver, fit: FitArrays, source: int, range_m: Doubles, weight: Doubles
) -> float:
    """Fill the ranges of the nodes, falling, and their weights; the log of the integral.

    The weights sum to one.
    """
    field, law = receiver.field, receiver.law
    mean, spread = fit.rho_mean[source], fit.rho_spread[source]
    power, power_spread = fit.powers[source], fit.power_spread[source]
    start = min(max(mean - _REACH * spread, field.low_rho), field.high_rho)
    stop = min(max(mean + _REACH * spread, field.low_rho), field.high_rho)
    width = max(stop - start, 1e-6)
    if field.high_rho - field.low_rho > 1e-6:
        start = min(start, field.high_rho - 1e-6)
    highest = -np.inf
    for i in range(NODES):
        rho = start + width * i / (NODES - 1)
        range_m[i] = 1.0 / rho
        gap = (rho - mean) / spread
        weight[i] = -0.5 * gap * gap - power / (mean_power(law, rho) + power_spread)
        highest = max(highest, weight[i])
    total = 0.0
    for i in range(NODES):
        loudness = mean_power(law, 1.0 / range_m[i]) + power_spread
        weight[i] = np.exp(weight[i] - highest) * range_m[i] ** 2 / loudness
        if i in (0, NODES - 1):
            weight[i] *= 0.5
        total += weight[i]
    for i in range(NODES):
        weight[i] /= total
    here = mean_power(law, fit.points[source, 2]) + power_spread
    flat = max(field.high_m - field.low_m, 1e-6 * field.high_m * field.low_m)
    known = total * width / (NODES - 1) * here / (flat * spread * np.sqrt(2.0 * np.pi))
    return np.log(known) + highest + power / here


@kernel
def answered_range(range_m: Doubles, weight: Doubles) -> float:
    """The range most probably within the tolerance; of equals, nearest the median."""
    below = np.zeros(NODES + 1)
    for i in range(NODES):
        below[i + 1] = below[i] + weight[NODES - 1 - i]
    middle = 0
    while middle < NODES - 1 and below[middle + 1] < 0.5:
        middle += 1
    median = range_m[NODES - 1 - middle]
    best, answer, lower, upper = -np.inf, median, 0, 0
    for i in range(NODES):
        here = range_m[NODES - 1 - i]
        while upper < NODES and range_m[NODES - 1 - upper] <= here + _TOLERANCE_M:
            upper += 1
        while range_m[NODES - 1 - lower] < here - _TOLERANCE_M:
            lower += 1
        score = below[upper] - below[lower] - _NEARER * abs(here - median)
        if score > best:
            best, answer = score, here
    return answer
