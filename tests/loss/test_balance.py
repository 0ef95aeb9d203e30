"""How terms are weighed against each other."""

import math

import pytest
import torch
from torch import Tensor

from risexp.config.learning import LossConfig
from risexp.loss.balance import Fixed, StructureShare, Uncertainty, balance_of
from risexp.loss.weighted import weighted_loss
from tests.support.predictions import best_prediction, guess_of, random_prediction, small_target

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


def test_fixed_weights_are_taken_as_given() -> None:
    expected = {"cov": 0.4, "count": 3.0, "subspace": 0.12, "cross": 0.02}

    assert pytest.approx(expected) == numbers(Fixed()(means(), WEIGHTS))


def test_fixed_weights_have_nothing_to_learn() -> None:
    assert [] == list(Fixed().parameters())


def test_uncertainty_begins_with_the_weights_as_given() -> None:
    balance = Uncertainty(WEIGHTS)

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


def test_a_large_term_raises_its_variance_and_a_small_one_lowers_it() -> None:
    balance = Uncertainty(["cov", "count"])

    parts = balance({"cov": torch.tensor(0.2), "count": torch.tensor(3.0)}, WEIGHTS)

    torch.stack(list(parts.values())).sum().backward()  # type: ignore[no-untyped-call]
    assert _slope(balance.log_variance["cov"]) > 0.0 > _slope(balance.log_variance["count"])


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


def test_a_structure_term_that_is_ramped_comes_in_under_a_share_too() -> None:
    shares = []
    for weight in (0.0, 0.25, 0.5, 1.0):
        given = {"cov": 0.5, "subspace": weight}
        parts = numbers(
            StructureShare(0.2, Fixed())({name: means()[name] for name in given}, given)
        )
        shares.append(parts["subspace"] / sum(parts.values()))

    assert [0.0, 0.05, 0.1, 0.2] == pytest.approx(shares)


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


def test_a_share_without_structure_terms_is_none() -> None:
    config = LossConfig(balance="uncertainty", structure_share=0.1)

    assert isinstance(balance_of(LossConfig(structure_share=0.1), ["cov", "count"]), Fixed)
    assert isinstance(balance_of(config, ["cov", "count"]), Uncertainty)


def test_the_configuration_names_the_balance() -> None:
    learned = balance_of(LossConfig(balance="uncertainty"), WEIGHTS)

    assert isinstance(balance_of(LossConfig(), WEIGHTS), Fixed)
    assert isinstance(learned, Uncertainty)
    assert WEIGHTS.keys() == set(learned.log_variance)


def test_terms_that_get_a_share_have_no_variance_to_learn() -> None:
    config = LossConfig(balance="uncertainty", structure_share=0.1)

    shared = balance_of(config, WEIGHTS)

    assert isinstance(shared, StructureShare)
    assert isinstance(shared.main, Uncertainty)
    assert {"cov", "count"} == set(shared.main.log_variance)
    assert 0.1 == shared.share


@pytest.mark.parametrize(
    "config",
    [
        LossConfig(),
        LossConfig(balance="uncertainty"),
        LossConfig(structure_share=0.1),
        LossConfig(balance="uncertainty", structure_share=0.1),
    ],
)
def test_every_balance_weighs_a_real_guess(device: torch.device, config: LossConfig) -> None:
    target = small_target(device=device)
    balance = balance_of(config, WEIGHTS).to(device)

    loss = weighted_loss(guess_of(random_prediction(target), target), WEIGHTS, balance)

    loss.total.backward()  # type: ignore[no-untyped-call]
    for parameter in balance.parameters():
        assert _slope(parameter) != 0.0


def test_a_perfect_answer_is_as_good_as_no_loss_under_a_share(device: torch.device) -> None:
    target = small_target(device=device)
    balance = balance_of(LossConfig(structure_share=0.1), WEIGHTS)

    loss = weighted_loss(guess_of(best_prediction(target), target), WEIGHTS, balance)

    assert float(loss.total) < 1e-9
