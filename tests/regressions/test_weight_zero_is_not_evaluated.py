"""Once: NaN in a term whose weight was meant to be zero poisoned every gradient."""

import pytest
import torch
from torch import Tensor

from risexp.loss.prediction_pair import PredictionPair
from risexp.loss.terms import TERMS
from risexp.loss.weighting import Fixed, weighted_loss
from tests.support.predictions import gradient_faults, pair_of, random_prediction, small_target

WEIGHTS = {"cov": 1.0, "eigengap": 0.0}


def test_a_term_of_weight_zero_is_not_evaluated_and_its_nan_poisons_nothing(
    device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluated: list[int] = []

    def undefined(pair: PredictionPair) -> Tensor:
        """NaN, in value and in gradient."""
        evaluated.append(len(pair.target))
        return pair.prediction.angle_factor.real.sum((-2, -1)) * torch.nan

    terms = {**TERMS, "eigengap": undefined}
    monkeypatch.setattr("risexp.loss.weighting.TERMS", terms)
    target = small_target(device=device)
    pair = pair_of(random_prediction(target), target)

    loss = weighted_loss(pair, WEIGHTS, Fixed())

    assert ({"cov"}, []) == (set(loss.terms), evaluated)
    assert [] == gradient_faults(loss.total, pair.prediction)
    # As it once was: every term is evaluated, and zero times NaN is NaN.
    pair = pair_of(random_prediction(target), target)
    total = torch.stack([WEIGHTS[name] * terms[name](pair).mean() for name in WEIGHTS]).sum()
    assert ["a gradient that is not finite"] == gradient_faults(total, pair.prediction)
