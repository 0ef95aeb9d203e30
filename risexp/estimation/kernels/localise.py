"""Whole answers to scenes of held symbols, from their frames."""

import math
from typing import NamedTuple

import numpy as np

from risexp.estimation.kernels.compilation import entry, kernel
from risexp.estimation.kernels.condense import condensed, settle
from risexp.estimation.kernels.counting import (
    count_by_evidence,
    count_by_price,
    log_direction_density,
)
from risexp.estimation.kernels.descent import descend, place, turn
from risexp.estimation.kernels.fits import FitArrays, fill_fit, fit_of, new_fits
from risexp.estimation.kernels.products import Integers
from risexp.estimation.kernels.ranging import NODES, answered_range, believe
from risexp.estimation.kernels.scene import Measured, Receiver, clamp, copy_point, equations_of
from risexp.estimation.kernels.search import QuickArrays, full_search, quick_search
from risexp.estimation.kernels.solving import Doubles
from risexp.estimation.kernels.stacks import new_works, work_of

_WRONG = 1.3
"""As in `nomp`."""
_FREEDOM = 5.0
"""As in `held_symbols`."""


class AnswerArrays(NamedTuple):
    """Counts and positions of S scenes."""

    counts: Integers
    """(S,)"""
    probabilities: Doubles
    """(S, K)"""
    slots: Doubles
    """Azimuth, elevation and range, (S, 3, K); NaN beyond the count."""


@entry
def quick_pursuits(receiver: Receiver, measured: Measured, steps: int, found: QuickArrays) -> None:
    """Answer as `pursuit.quick_pursuit`; the noise becomes that of the law."""
    stack = condensed(measured, receiver.array.h.size)
    quick_search(receiver, stack, steps, found)
    for s in range(measured.noise.size):
        measured.noise[s] = stack.numbers[s, 1]


@entry
def localise(receiver: Receiver, measured: Measured, price: float, answers: AnswerArrays) -> None:
    """Answer as `inference.Nomp`; a negative `price` of a source means the evidence."""
    scenes, most = answers.probabilities.shape
    stack, fits = condensed(measured, receiver.array.h.size), new_fits(scenes, most)
    hidden, asked = np.empty((scenes, most)), np.ones(scenes, np.bool_)
    full_search(receiver, stack, asked, fits, hidden)
    for s in range(scenes):
        left = stack.samples * math.exp(-fits.likelihood[s, most, 0] / stack.samples)
        left /= max(stack.samples - 0.5 * _FREEDOM * most, 1.0)
        asked[s] = left > _WRONG * measured.noise[s]
        if asked[s]:
            settle(left, stack.samples, stack.numbers[s])
    full_search(receiver, stack, asked, fits, hidden)
    for s in range(scenes):
        probabilities = answers.probabilities[s]
        if price < 0.0:
            evidence = _evidence(receiver, fits, s)
            count = count_by_evidence(evidence, hidden[s], probabilities)
        else:
            count = count_by_price(fits.likelihood[s, :, 0], price, probabilities)
        answers.counts[s] = count
        _answer(receiver, fit_of(fits, s, count), count, answers.slots[s])


@kernel
def _evidence(receiver: Receiver, fits: FitArrays, scene: int) -> Doubles:
    """Log evidence of 0 .. K_MAX sources (`count_rule.log_evidence`), (K + 1,)."""
    range_m, weight = np.empty(NODES), np.empty(NODES)
    evidence = np.empty(fits.likelihood.shape[1])
    for count in range(evidence.size):
        fit = fit_of(fits, scene, count)
        evidence[count] = fit.likelihood[1] + math.lgamma(count + 1.0)
        for k in range(count):
            u, v = fit.points[k, 0], fit.points[k, 1]
            evidence[count] += log_direction_density(receiver.field, u, v)
            evidence[count] += believe(receiver, fit, k, range_m, weight)
    return evidence


@kernel
def _answer(receiver: Receiver, fit: FitArrays, count: int, slots: Doubles) -> None:
    """Fill angles and believed ranges of one scene's sources, (3, K)."""
    range_m, weight = np.empty(NODES), np.empty(NODES)
    for k in range(slots.shape[1]):
        if k < count:
            u, v = fit.points[k, 0], fit.points[k, 1]
            slots[0, k] = math.atan2(u, math.sqrt(max(1.0 - u * u - v * v, 1e-14)))
            slots[1, k] = math.asin(v)
            believe(receiver, fit, k, range_m, weight)
            slots[2, k] = answered_range(range_m, weight)
        else:
            slots[0, k], slots[1, k], slots[2, k] = np.nan, np.nan, np.nan


@entry
def refit(
    receiver: Receiver, measured: Measured, steps: int, points: Doubles, answers: AnswerArrays
) -> None:
    """Move the counted ones of points (S, K, 3) jointly downhill in the misfit, and answer them."""
    scenes, most = points.shape[0], points.shape[1]
    size, stack = receiver.array.h.size, condensed(measured, receiver.array.h.size)
    fits = new_fits(1, most)
    for s in range(scenes):
        scene, count = equations_of(stack, s), answers.counts[s]
        work = work_of(new_works(1, most, size), 0)
        for k in range(count):
            copy_point(points[s, k], work.best.points[k])
            clamp(receiver.field, work.best.points[k])
            place(receiver.array, scene, work.best, k)
        misfit = descend(receiver, scene, work, count, (steps, 0.0))
        turn(receiver, scene, work, count, 0.0)
        fit = fit_of(fits, 0, count)
        fill_fit(receiver, scene, work, count, misfit, fit)
        _answer(receiver, fit, count, answers.slots[s])
