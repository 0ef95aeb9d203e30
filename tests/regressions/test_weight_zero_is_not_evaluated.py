"""Once: NaN in a term whose weight was meant to be zero poisoned every gradient."""

import pytest
import torch
from torch import Tensor

from risexp.loss import weighted
from risexp.loss.balance import Fixed
from risexp.loss.prediction_pair import PredictionPair
from risexp.loss.terms import TERMS, Term
from risexp.loss.weighted import weighted_loss
from tests.support.predictions import gradient_faults, guess_of, random_prediction, small_target


def undefined(guess: PredictionPair) -> Tensor:
    """NaN, in value and in gradient."""
    return guess.prediction.angle_factor.real.sum((-2, -1)) * torch.nan


def forbidden(guess: PredictionPair) -> Tensor:
    raise AssertionError(f"a term was evaluated on {len(guess.target)} scenes")


def planted(monkeypatch: pytest.MonkeyPatch, term: Term) -> None:
    monkeypatch.setattr(weighted, "TERMS", {**TERMS, "eigengap": term})


def all_times_their_weight(guess: PredictionPair, terms: dict[str, Term]) -> Tensor:
    """As it once was: every term is evaluated, and zero times NaN is NaN."""
    return torch.stack([WEIGHTS[name] * term(guess).mean() for name, term in terms.items()]).sum()


@pytest.fixture
def guess(device: torch.device) -> PredictionPair:
    target = small_target(device=device)
    return guess_of(random_prediction(target), target)


WEIGHTS = {"cov": 1.0, "eigengap": 0.0}


def test_a_term_of_weight_zero_is_not_evaluated(
    guess: PredictionPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted(monkeypatch, forbidden)

    assert {"cov"} == weighted_loss(guess, WEIGHTS, Fixed()).terms.keys()


def test_nan_in_a_term_of_weight_zero_poisons_nothing(
    guess: PredictionPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted(monkeypatch, undefined)

    assert [] == gradient_faults(weighted_loss(guess, WEIGHTS, Fixed()).total, guess.prediction)


def test_the_fault_would_be_seen(guess: PredictionPair) -> None:
    total = all_times_their_weight(guess, {"cov": TERMS["cov"], "eigengap": undefined})

    assert ["a gradient that is not finite"] == gradient_faults(total, guess.prediction)
