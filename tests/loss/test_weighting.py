"""The weighted total and its balances."""

import math

import pytest
import torch
from torch import Tensor

from risexp.config.learning import LossConfig
from risexp.errors import ConfigInvalid
from risexp.loss.prediction_pair import PredictionPair
from risexp.loss.terms import TERMS
from risexp.loss.weighting import Fixed, StructureShare, Uncertainty, balance_of, weighted_loss
from tests.support.host_syncs import Waits, looks
from tests.support.predictions import (
    pair_of,
    random_prediction,
    small_target,
)

ALL = {name: 0.1 * (place + 1) for place, name in enumerate(TERMS)}
DEFAULT: dict[str, float] = LossConfig().model_dump(include=set(TERMS))


def random_pair(device: torch.device) -> PredictionPair:
    target = small_target(device=device)
    return pair_of(random_prediction(target), target)


def test_the_total_is_the_weighted_sum_of_the_means_and_alone_has_a_gradient(
    device: torch.device,
) -> None:
    pair = random_pair(device)

    loss = weighted_loss(pair, ALL, Fixed())

    expected = sum(weight * float(loss.terms[name]) for name, weight in ALL.items())
    assert ALL.keys() == loss.terms.keys() == loss.weighted.keys()
    assert pytest.approx(expected) == float(loss.total.detach())
    for name, term in TERMS.items():
        assert pytest.approx(float(term(pair).mean().detach())) == float(loss.terms[name])
        assert pytest.approx(ALL[name] * float(loss.terms[name])) == float(loss.weighted[name])
    assert loss.total.requires_grad
    assert torch.float64 == loss.total.dtype
    for part in (*loss.terms.values(), *loss.weighted.values()):
        assert not part.requires_grad
        assert part.device == loss.total.device


def test_a_loss_without_a_term_or_with_an_unknown_one_is_refused(device: torch.device) -> None:
    cases: list[dict[str, float]] = [{}, {"cov": 0.0}]
    for weights in cases:
        with pytest.raises(
            ConfigInvalid, match="no term of the loss has a weight: set one of cov, "
        ):
            weighted_loss(random_pair(device), weights, Fixed())
    with pytest.raises(KeyError, match="range"):
        weighted_loss(random_pair(device), {"cov": 1.0, "range": 0.5}, Fixed())


def test_the_default_loss_never_makes_the_host_wait(
    device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = random_pair(device)
    weighted_loss(pair, DEFAULT, Fixed())

    with looks(monkeypatch, device) as seen, Waits() as waits:
        loss = weighted_loss(pair_of(pair.prediction, pair.target), DEFAULT, Fixed())
        loss.total.backward()  # type: ignore[no-untyped-call]

    assert ([], []) == (seen, waits.names)


WEIGHTS = {"cov": 0.5, "count": 2.0, "subspace": 0.3, "cross": 1.0}
MAIN = 0.5 * 0.8 + 2.0 * 1.5
TOTAL = MAIN / (1.0 - 0.1 * (0.3 + 1.0))
"""Where a tenth is the share of a structure term of weight one."""


def means() -> dict[str, Tensor]:
    values = {"cov": 0.8, "count": 1.5, "subspace": 0.4, "cross": 0.02}
    return {
        name: torch.tensor(value, dtype=torch.float64, requires_grad=True)
        for name, value in values.items()
    }


def numbers(parts: dict[str, Tensor]) -> dict[str, float]:
    return {name: float(part.detach()) for name, part in parts.items()}


def _slope(value: Tensor) -> float:
    assert value.grad is not None
    return float(value.grad)


def test_uncertainty_begins_with_the_weights_as_given() -> None:
    balance = Uncertainty(WEIGHTS)

    expected = {"cov": 0.4, "count": 3.0, "subspace": 0.12, "cross": 0.02}
    assert pytest.approx(expected) == numbers(Fixed()(means(), WEIGHTS))
    assert numbers(Fixed()(means(), WEIGHTS)) == numbers(balance(means(), WEIGHTS))
    assert {f"log_variance.{name}" for name in WEIGHTS} == balance.state_dict().keys()


def test_uncertainty_is_least_at_the_logarithm_of_its_term() -> None:
    balance = Uncertainty(["count"])
    with torch.no_grad():
        balance.log_variance["count"].fill_(math.log(1.5))

    total = balance({"count": torch.tensor(1.5)}, {"count": 2.0})["count"]

    total.backward()
    assert pytest.approx(2.0 * (1.0 + math.log(1.5))) == float(total.detach())
    assert pytest.approx(0.0, abs=1e-6) == _slope(balance.log_variance["count"])


def test_a_term_that_vanishes_takes_the_total_only_so_far() -> None:
    balance = Uncertainty(["count"], limit=5.0)
    with torch.no_grad():
        balance.log_variance["count"].fill_(-50.0)

    assert -5.0 == float(balance({"count": torch.tensor(0.0)}, {"count": 1.0})["count"].detach())


def test_each_structure_term_contributes_its_weight_times_the_share_of_the_total() -> None:
    parts = numbers(StructureShare(0.1, Fixed())(means(), WEIGHTS))

    expected = {"cov": 0.4, "count": 3.0, "subspace": 0.03 * TOTAL, "cross": 0.1 * TOTAL}
    assert pytest.approx(expected) == parts
    assert pytest.approx(TOTAL) == sum(parts.values())


def test_no_gradient_passes_through_the_factor_of_a_share() -> None:
    given = means()

    torch.stack(list(StructureShare(0.1, Fixed())(given, WEIGHTS).values())).sum().backward()  # type: ignore[no-untyped-call]

    slopes = {name: _slope(each) for name, each in given.items()}
    expected = {
        "cov": 0.5,
        "count": 2.0,
        "subspace": 0.03 * TOTAL / 0.4,
        "cross": 0.1 * TOTAL / 0.02,
    }
    assert pytest.approx(expected) == slopes


def test_a_structure_term_that_is_nearly_met_fades_out_by_its_weight() -> None:
    balance = StructureShare(0.1, Fixed(), largest=100.0)

    parts = balance({**means(), "cross": torch.tensor(1e-6)}, WEIGHTS)
    half = balance({**means(), "cross": torch.tensor(1e-6)}, {**WEIGHTS, "cross": 0.5})
    nothing = balance({**means(), "cross": torch.tensor(0.0)}, WEIGHTS)

    assert pytest.approx(1e-4) == float(parts["cross"])
    assert pytest.approx(0.5e-4) == float(half["cross"])
    assert 0.0 == float(nothing["cross"])


def test_a_share_is_taken_of_the_weighted_terms_and_not_of_learned_variances() -> None:
    main = Uncertainty(["cov", "count"])
    with torch.no_grad():
        main.log_variance["count"].fill_(2.0)

    parts = numbers(StructureShare(0.1, main)(means(), WEIGHTS))

    assert pytest.approx(0.03 * TOTAL) == parts["subspace"]
    assert pytest.approx(2.0 * (math.exp(-2.0) * 1.5 + 2.0)) == parts["count"]


def test_structure_terms_alone_have_their_weights() -> None:
    alone = {name: mean for name, mean in means().items() if name in {"subspace", "cross"}}

    assert numbers(Fixed()(alone, WEIGHTS)) == numbers(StructureShare(0.1, Fixed())(alone, WEIGHTS))


def test_the_configuration_names_the_balance() -> None:
    learning = LossConfig(balance="uncertainty")
    sharing = LossConfig(structure_share=0.1)
    both = LossConfig(balance="uncertainty", structure_share=0.1)

    plain, learned, shared = (balance_of(each, WEIGHTS) for each in (LossConfig(), learning, both))

    assert isinstance(plain, Fixed)
    assert isinstance(learned, Uncertainty)
    assert WEIGHTS.keys() == set(learned.log_variance)
    assert isinstance(shared, StructureShare)
    assert isinstance(shared.main, Uncertainty)
    assert {"cov", "count"} == set(shared.main.log_variance)
    assert 0.1 == shared.share
    assert isinstance(balance_of(sharing, ["cov", "count"]), Fixed)
    assert isinstance(balance_of(both, ["cov", "count"]), Uncertainty)
