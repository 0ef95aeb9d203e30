"""How sure a count head may be: one temperature, fitted on scenes of their own after training.

(C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, On calibration of modern neural networks, ICML 2017.)
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from risexp.model.prediction import CountLaw

_LIMITS = (math.log(0.05), math.log(20.0))
_GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0
_STEPS = 60
_BINS = 15


@dataclass(frozen=True)
class Calibration:
    """A temperature, and what such a one changes on scenes that it was not fitted on."""

    temperature: float
    nll_before: float
    nll_after: float
    """Of each half of the scenes, at the temperature of the other half."""
    ece_before: float
    """Expected calibration error of the most probable count."""
    ece_after: float
    """The same of each half of the scenes, at the temperature of the other half."""
    scenes: int

    @classmethod
    def of(cls, law: CountLaw, logits: Tensor, count: Tensor) -> Self:
        """Fit the temperature of a law to logits (B, C) of scenes with true counts (B,)."""
        plain = replace(law, temperature=1.0)
        before, after = plain.probabilities(logits), _calibrated_by_halves(plain, logits, count)
        return cls(
            temperature=_fitted(plain, logits, count).temperature,
            nll_before=_nll(before, count),
            nll_after=_nll(after, count),
            ece_before=calibration_error(before, count),
            ece_after=calibration_error(after, count),
            scenes=len(count),
        )


def nll(law: CountLaw, logits: Tensor, count: Tensor) -> float:
    """Mean negative log likelihood of the true counts, in nats."""
    return _nll(law.probabilities(logits), count)


def _nll(probabilities: Tensor, count: Tensor) -> float:
    likely = probabilities.gather(-1, (count - 1).unsqueeze(-1))
    return -float(likely.log().mean())


def _fitted(plain: CountLaw, logits: Tensor, count: Tensor) -> CountLaw:
    """The law at the temperature of the least `nll`."""
    log_temperature = _least(lambda log: nll(_at(plain, log), logits, count))
    return _at(plain, log_temperature)


def _calibrated_by_halves(plain: CountLaw, logits: Tensor, count: Tensor) -> Tensor:
    """Probabilities (B, C), where every other scene fits the temperature of the rest."""
    probabilities = plain.probabilities(logits)
    if len(count) < 2:
        return probabilities  # nothing to fit on
    for first in (0, 1):
        other = slice(1 - first, None, 2)
        fitted = _fitted(plain, logits[other], count[other])
        probabilities[first::2] = fitted.probabilities(logits[first::2])
    return probabilities


def calibration_error(probabilities: Tensor, count: Tensor, bins: int = _BINS) -> float:
    """Mean distance of confidence and hit rate over bins of confidence, weighed by their scenes."""
    confidence, answered = probabilities.max(-1)
    hit = (answered + 1 == count).double()
    place = (confidence * bins).long().clamp(max=bins - 1)
    off = torch.zeros(bins, dtype=torch.float64, device=confidence.device)
    off = off.index_add(0, place, confidence.double() - hit)
    return float(off.abs().sum()) / len(count)


def _at(law: CountLaw, log_temperature: float) -> CountLaw:
    return replace(law, temperature=math.exp(log_temperature))


def _least(cost: Callable[[float], float]) -> float:
    """Where a cost with one minimum is least, by golden section."""
    low, high = _LIMITS
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = cost(left), cost(right)
    for _ in range(_STEPS):
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = cost(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = cost(right)
    return 0.5 * (low + high)
