"""The total that is minimised, and what it is made of."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from risexp.errors import ConfigInvalid
from risexp.loss.balance import Balance
from risexp.loss.prediction_pair import PredictionPair
from risexp.loss.terms import TERMS


@dataclass(frozen=True)
class Loss:
    """One batch's loss; the parts are constants that stay on their device until they are read."""

    total: Tensor
    """Scalar float64, with its gradient."""
    terms: Mapping[str, Tensor]
    """Mean of each term that was evaluated, unweighted."""
    weighted: Mapping[str, Tensor]
    """What each of them contributed to the total."""


def weighted_loss(guess: PredictionPair, weights: Mapping[str, float], balance: Balance) -> Loss:
    """Sum weight * term over the terms whose weight is not zero; no other term is evaluated.

    Args:
        guess: Prediction and label.
        weights: By the names of `TERMS`; a name that is left out has no weight.
        balance: How the terms are weighed against each other.

    Raises:
        ConfigInvalid: No term has a weight: the total would be zero and nothing learned.
    """
    active = {name: weight for name, weight in weights.items() if weight != 0.0}
    if not active:
        raise ConfigInvalid(f"no term of the loss has a weight: set one of {', '.join(TERMS)}")
    means = {name: TERMS[name](guess).mean().double() for name in active}
    parts: dict[str, Tensor] = balance(means, active)
    total = torch.stack(list(parts.values())).sum()
    return Loss(total, _constants(means), _constants(parts))


def _constants(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach() for name, value in values.items()}
