"""Once: NaN in a term whose weight was meant to be zero poisoned every gradient."""

import pytest
import torch
from torch import Tensor

from risexp.loss import weighting as weighted
from risexp.loss.prediction_pair import PredictionPair
from risexp.loss.terms import TERMS, Term
from risexp.loss.weighting import Fixed, weighted_loss
from tests.support.predictions import gradient_faults, pair_of, random_prediction, small_target


def undefined(pair: PredictionPair) -> Tensor:
    """NaN, in value and in gradient."""
    return pair.prediction.angle_factor.real.sum((-2, -1)) * torch.nan


def forbidden(pair: PredictionPair) -> Tensor:
    raise AssertionError(f"a term was evaluated on {len(pair.target)} scenes")


def planted(monkeypatch: pytest.MonkeyPatch, term: Term) -> None:
    monkeypatch.setattr(weighted, "TERMS", {**TERMS, "eigengap": term})


def all_times_their_weight(pair: PredictionPair, terms: dict[str, Term]) -> Tensor:
    """As it once was: every term is evaluated, and zero times NaN is NaN."""
    return torch.stack([WEIGHTS[name] * term(pair).mean() for name, term in terms.items()]).sum()


@pytest.fixture
def pair(device: torch.device) -> PredictionPair:
    target = small_target(device=device)
    return pair_of(random_prediction(target), target)


WEIGHTS = {"cov": 1.0, "eigengap": 0.0}


def test_a_term_of_weight_zero_is_not_evaluated(
    pair: PredictionPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted(monkeypatch, forbidden)

    assert {"cov"} == weighted_loss(pair, WEIGHTS, Fixed()).terms.keys()


def test_nan_in_a_term_of_weight_zero_poisons_nothing(
    pair: PredictionPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted(monkeypatch, undefined)

    assert [] == gradient_faults(weighted_loss(pair, WEIGHTS, Fixed()).total, pair.prediction)


def test_the_fault_would_be_seen(pair: PredictionPair) -> None:
    total = all_times_their_weight(pair, {"cov": TERMS["cov"], "eigengap": undefined})

    assert ["a gradient that is not finite"] == gradient_faults(total, pair.prediction)
