"""A refused batch, computed again, names the terms and the parameters that made it so."""

import math
from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from risexp.data.frames import Scenes
from risexp.training.meters import HasLoss
from risexp.training.plan import Plan
from risexp.training.replay import Refusal, explain
from tests.support.trainers import (
    Small,
    SmallLoss,
    small_loss,
    small_network,
    summed,
    validation_scenes,
    with_first_value,
)
from tests.training.test_plan import SOME

PLAN = replace(SOME, weights={"cov": 0.5, "count": 1.0, "margin": 0.2, "heat": 0.0})


def explained(
    network: Small, scenes: Scenes, change: Callable[[str, Tensor, Small], Tensor]
) -> Refusal:
    """What is found where each term of the loss is changed by its name."""

    def losses(plan: Plan) -> Iterable[HasLoss]:
        for piece in (scenes[:4], scenes[4:]):
            loss = small_loss(network, piece, plan)
            terms = {name: change(name, term, network) for name, term in loss.terms.items()}
            yield summed(terms, plan.active)

    return explain(3, scenes, PLAN, losses, dict(network.named_parameters()))


def scenes_on(device: torch.device) -> Scenes:
    return validation_scenes(device)[:8]


def test_a_term_that_is_not_finite_is_named(device: torch.device) -> None:
    def change(name: str, term: Tensor, _: Small) -> Tensor:
        return term / 0.0 if name == "count" else term

    refusal = explained(small_network(device), scenes_on(device), change)

    assert ("value", ("count",), ()) == (refusal.reason, refusal.terms, refusal.inputs)


def test_a_gradient_that_is_not_finite_is_named_with_its_parameters(device: torch.device) -> None:
    def change(name: str, term: Tensor, network: Small) -> Tensor:
        at_zero = (network.heads.bias * 0.0).sum()
        return term + at_zero.sqrt() if name == "margin" else term

    refusal = explained(small_network(device), scenes_on(device), change)

    assert Refusal(3, "gradient", ("margin",), ("heads.bias",), ()) == refusal


def test_every_guilty_term_is_named(device: torch.device) -> None:
    def change(name: str, term: Tensor, network: Small) -> Tensor:
        at_zero = (network.heads.bias * 0.0).sum()
        return term + at_zero.sqrt() if name != "count" else term

    refusal = explained(small_network(device), scenes_on(device), change)

    assert ("cov", "margin") == refusal.terms


def test_a_decomposition_that_fails_is_named(device: torch.device) -> None:
    def change(name: str, term: Tensor, _: Small) -> Tensor:
        matrix = torch.zeros(2, 2, device=device)
        return term * torch.linalg.cholesky(matrix)[0, 0] if name == "cov" else term

    refusal = explained(small_network(device), scenes_on(device), change)

    assert ("failed", ("cov",)) == (refusal.reason, refusal.terms)


def test_measurements_that_are_not_finite_are_named(device: torch.device) -> None:
    poisoned = with_first_value(math.nan)(scenes_on(device))

    refusal = explained(small_network(device), poisoned, lambda _, term, __: term)

    assert ("value", ("frames.y",)) == (refusal.reason, refusal.inputs)
    assert ("cov", "count", "margin") == refusal.terms


def test_gradients_of_zero_are_named(device: torch.device) -> None:
    refusal = explained(small_network(device), scenes_on(device), lambda _, term, __: term * 0.0)

    assert Refusal(3, "no gradient", (), (), ()) == refusal


def test_a_batch_that_is_sound_by_now_is_said_to_be(device: torch.device) -> None:
    refusal = explained(small_network(device), scenes_on(device), lambda _, term, __: term)

    assert Refusal(3, "not again", (), (), ()) == refusal


def test_frozen_parameters_and_gradients_at_hand_are_left_alone(device: torch.device) -> None:
    network = small_network(device)
    network.backbone.requires_grad_(False)
    network.heads.bias.grad = torch.full_like(network.heads.bias, 7.0)

    refusal = explained(network, scenes_on(device), lambda _, term, __: term / 0.0)

    assert "backbone.weight" not in refusal.parameters
    assert [7.0] * len(network.heads.bias) == network.heads.bias.grad.tolist()


def test_a_loss_without_any_gradient_is_looked_at(device: torch.device) -> None:
    def losses(plan: Plan) -> Iterable[HasLoss]:
        yield SmallLoss(torch.tensor(1.0), {name: torch.tensor(1.0) for name in plan.active}, {})

    refusal = explain(0, scenes_on(device), PLAN, losses, {})

    assert "no gradient" == refusal.reason


@pytest.mark.parametrize(
    ("refusal", "said"),
    [
        (Refusal(3, "not again", (), (), ()), "batch 3: not again"),
        (
            Refusal(0, "gradient", ("cov",), ("a", "b", "c", "d", "e"), ("frames.y",)),
            "batch 0: gradient in cov at a, b, c and 2 more from frames.y",
        ),
    ],
)
def test_a_refusal_is_one_sentence(refusal: Refusal, said: str) -> None:
    assert said == refusal.sentence()
