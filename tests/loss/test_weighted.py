"""The total: what is in it, what is not, and what it is made of."""

import pytest
import torch

from risexp.config.learning import LossConfig
from risexp.errors import ConfigInvalid
from risexp.loss.balance import Fixed
from risexp.loss.prediction_pair import PredictionPair
from risexp.loss.terms import TERMS
from risexp.loss.weighted import weighted_loss
from tests.support.predictions import gradients, guess_of, random_prediction, small_target

ALL = {name: 0.1 * (place + 1) for place, name in enumerate(TERMS)}
DEFAULT: dict[str, float] = LossConfig().model_dump(include=set(TERMS))


def drawn(device: torch.device) -> PredictionPair:
    target = small_target(device=device)
    return guess_of(random_prediction(target), target)


def test_the_total_is_the_weighted_sum_of_the_means(device: torch.device) -> None:
    guess = drawn(device)

    loss = weighted_loss(guess, ALL, Fixed())

    expected = sum(weight * float(loss.terms[name]) for name, weight in ALL.items())
    assert ALL.keys() == loss.terms.keys() == loss.weighted.keys()
    assert pytest.approx(expected) == float(loss.total.detach())
    for name, term in TERMS.items():
        assert pytest.approx(float(term(guess).mean().detach())) == float(loss.terms[name])
        assert pytest.approx(ALL[name] * float(loss.terms[name])) == float(loss.weighted[name])


def test_only_the_total_carries_a_gradient(device: torch.device) -> None:
    loss = weighted_loss(drawn(device), ALL, Fixed())

    assert loss.total.requires_grad
    assert torch.float64 == loss.total.dtype
    for part in (*loss.terms.values(), *loss.weighted.values()):
        assert not part.requires_grad
        assert part.device == loss.total.device


def test_a_term_without_weight_is_not_there(device: torch.device) -> None:
    loss = weighted_loss(drawn(device), {"count": 1.0, "cov": 0.0}, Fixed())

    assert {"count"} == loss.terms.keys()


def test_a_weight_scales_the_gradient_of_its_term(device: torch.device) -> None:
    guess = drawn(device)

    once, thrice = (
        gradients(weighted_loss(guess, {"count": weight}, Fixed()).total, guess.prediction)
        for weight in (1.0, 3.0)
    )

    assert {"count_logits"} == once.keys() == thrice.keys()
    torch.testing.assert_close(3.0 * once["count_logits"], thrice["count_logits"])


def test_the_value_is_the_same_where_no_gradient_is_recorded(device: torch.device) -> None:
    guess = drawn(device)

    recorded = weighted_loss(guess, ALL, Fixed())
    with torch.no_grad():
        unrecorded = weighted_loss(guess_of(guess.prediction, guess.target), ALL, Fixed())

    torch.testing.assert_close(recorded.total.detach(), unrecorded.total, rtol=1e-6, atol=0.0)


@pytest.mark.parametrize("weights", [{}, {"cov": 0.0}])
def test_a_loss_without_a_term_is_refused(device: torch.device, weights: dict[str, float]) -> None:
    with pytest.raises(ConfigInvalid, match="no term of the loss has a weight: set one of cov, "):
        weighted_loss(drawn(device), weights, Fixed())


def test_an_unknown_term_is_an_error(device: torch.device) -> None:
    with pytest.raises(KeyError, match="range"):
        weighted_loss(drawn(device), {"cov": 1.0, "range": 0.5}, Fixed())


@pytest.mark.parametrize("sources_max", [5, 7])
def test_the_default_loss_never_makes_the_host_wait(device: torch.device, sources_max: int) -> None:
    target = small_target(sources_max=sources_max, device=device)
    guess = guess_of(random_prediction(target), target)
    weighted_loss(guess, DEFAULT, Fixed())
    if device.type == "cuda":
        torch.cuda.set_sync_debug_mode("error")
    try:
        loss = weighted_loss(guess_of(guess.prediction, guess.target), DEFAULT, Fixed())
        loss.total.backward()  # type: ignore[no-untyped-call]
    finally:
        if device.type == "cuda":
            torch.cuda.set_sync_debug_mode("default")

    assert bool(loss.total.detach().isfinite())
