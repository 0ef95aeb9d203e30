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
    """A temperature, and what it changed on the scenes it was fitted on."""

    temperature: float
    nll_before: float
    nll_after: float
    ece_before: float
    """Expected calibration error of the most probable count."""
    ece_after: float
    scenes: int

    @classmethod
    def of(cls, law: CountLaw, logits: Tensor, count: Tensor) -> Self:
        """Fit the temperature of a law to logits (B, C) of scenes with true counts (B,)."""
        plain = replace(law, temperature=1.0)
        temperature = math.exp(_least(lambda log: nll(_at(plain, log), logits, count)))
        fitted = replace(law, temperature=temperature)
        return cls(
            temperature=temperature,
            nll_before=nll(plain, logits, count),
            nll_after=nll(fitted, logits, count),
            ece_before=calibration_error(plain.probabilities(logits), count),
            ece_after=calibration_error(fitted.probabilities(logits), count),
            scenes=len(count),
        )


def nll(law: CountLaw, logits: Tensor, count: Tensor) -> float:
    """Mean negative log likelihood of the true counts, in nats."""
    likely = law.probabilities(logits).gather(-1, (count - 1).unsqueeze(-1))
    return -float(likely.log().mean())


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
