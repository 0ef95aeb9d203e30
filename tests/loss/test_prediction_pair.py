"""The assignment of slots to sources, and position errors."""

import math
from dataclasses import replace
from itertools import permutations

import pytest
import torch
from torch import Tensor

from risexp.config.layers import load_config
from risexp.loss.prediction_pair import KNEE, TermSettings, best_slots, position_error
from risexp.loss.target import Points
from risexp.model.prediction import Prediction
from tests.support.predictions import (
    best_prediction,
    pair_of,
    random_prediction,
    small_target,
)
from tests.support.scenes import uniform


def test_of_two_slots_at_one_place_the_sure_one_answers(device: torch.device) -> None:
    target = small_target(sources_max=2, device=device)
    first = torch.tensor([True, False], device=device).expand_as(target.present)

    pair = pair_of(_at_one_place(best_prediction(target)), replace(target, present=first))

    assert [1] * len(target) == pair.slots[:, 0].tolist()


def _at_one_place(best: Prediction) -> Prediction:
    """Both slots where the first source is, the second one surer."""
    pointers = best.pointers
    first = {
        name: value[:, :1].expand(-1, 2)
        for name, value in vars(pointers).items()
        if name != "existence"
    }
    existence = torch.tensor([-1.0, 1.0], device=pointers.existence.device)
    sure = existence.expand_as(pointers.existence)
    return replace(best, pointers=replace(pointers, **first, existence=sure))


def test_slots_are_chosen_once_without_a_gradient_and_filled_by_the_present_sources(
    device: torch.device,
) -> None:
    target = small_target(device=device)

    pair = pair_of(random_prediction(target), target)

    assert torch.equal(target.count, pair.filled.sum(-1))
    assert torch.equal(target.present, pair.filled.gather(1, pair.slots))
    assert not pair.slots.requires_grad
    for name in ("slots", "predicted", "spectrum"):
        assert getattr(pair, name) is getattr(pair, name), name


def test_settings_are_those_of_the_count_and_a_twentieth_of_the_view() -> None:
    costs = ("count.under_weight=2.5", "count.over_weight=0.5", "count.smoothing=0.1")

    made, plain, flat = (
        TermSettings.of(load_config(overrides=overrides).config)
        for overrides in (costs, (), ("data.range_m=[5, 5]",))
    )

    assert (2.5, 0.5, 0.1) == (made.under_weight, made.over_weight, made.smoothing)
    assert pytest.approx((1 / 0.5 - 1 / 10) / 20) == plain.rho_unit
    assert pytest.approx(0.1 / 5 / 20) == flat.rho_unit


UNIT = 0.1
NOWHERE: Points = (torch.zeros(1), torch.zeros(1), torch.zeros(1))


def off(phi_deg: float = 0.0, theta_deg: float = 0.0, rho: float = 0.0) -> Tensor:
    pointed = (
        torch.tensor([math.radians(phi_deg)]),
        torch.tensor([math.radians(theta_deg)]),
        torch.tensor([rho]),
    )
    return position_error(pointed, NOWHERE, UNIT)


def test_an_error_is_linear_beyond_its_knee_and_quadratic_below() -> None:
    pointed = torch.tensor([0.2, 2.0], requires_grad=True)
    nothing = torch.zeros(2)
    error = position_error((pointed, nothing, nothing), (nothing, nothing, nothing), UNIT)

    (pull,) = torch.autograd.grad(error.sum(), pointed)

    assert pytest.approx(float(off(rho=UNIT))) == float(off(phi_deg=5.0))
    assert pytest.approx((1.0 - KNEE / 2) / 3.5) == float(off(phi_deg=-5.0))
    assert pytest.approx(1.5 * float(off(phi_deg=7.0))) == float(off(theta_deg=7.0))
    assert pytest.approx(0.25 * float(off(phi_deg=0.8))) == float(off(phi_deg=0.4))
    assert pytest.approx(float(pull[0])) == float(pull[1])


BATCH = 16


def random_cost(most: int, seed: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Costs of any sign, and present sources, at least one a scene."""
    cost = uniform(-2.0, 10.0, BATCH, most, most, seed=seed).to(device)
    count = uniform(1.0, most + 1.0, BATCH, seed=seed + 1).long().to(device)
    return cost, torch.arange(most, device=device) < count.unsqueeze(-1)


def paid(cost: Tensor, slots: Tensor, present: Tensor) -> Tensor:
    """What the present sources of each scene pay together, (B,)."""
    sources = torch.arange(cost.shape[-1], device=cost.device)
    scenes = torch.arange(len(cost), device=cost.device).unsqueeze(-1)
    return torch.where(present, cost[scenes, slots, sources], 0.0).sum(-1)


def test_no_order_is_cheaper(device: torch.device) -> None:
    for most in [1, 2, 3, 5, 6, 7]:
        cost, present = random_cost(most, 6, device)

        orders = [
            paid(cost, torch.tensor(order, device=device).expand(BATCH, most), present)
            for order in permutations(range(most))
        ]

        actual = paid(cost, best_slots(cost, present), present)
        torch.testing.assert_close(torch.stack(orders).amin(0), actual)


def test_what_absent_sources_would_cost_does_not_matter(device: torch.device) -> None:
    cost, present = random_cost(5, 12, device)
    dear = torch.where(present.unsqueeze(-2), cost, torch.nan)

    assert torch.equal(best_slots(cost, present)[present], best_slots(dear, present)[present])


def test_a_cost_that_is_undefined_raises_nothing(device: torch.device) -> None:
    for most in (5, 9):
        cost, present = random_cost(most, 14, device)

        slots = best_slots(torch.full_like(cost, torch.nan), present)

        assert 0 <= int(slots.min()) <= int(slots.max()) < most
