"""A refused batch, computed again, names the terms and the parameters that made it so."""

import math
from collections.abc import Callable, Iterable
from dataclasses import replace

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


def test_the_term_that_is_not_finite_or_fails_is_named(device: torch.device) -> None:
    def infinite(name: str, term: Tensor, _: Small) -> Tensor:
        return term / 0.0 if name == "count" else term

    def failing(name: str, term: Tensor, _: Small) -> Tensor:
        matrix = torch.zeros(2, 2, device=device)
        return term * torch.linalg.cholesky(matrix)[0, 0] if name == "cov" else term

    one, other = (
        explained(small_network(device), scenes_on(device), change)
        for change in (infinite, failing)
    )

    assert ("value", ("count",), ()) == (one.reason, one.terms, one.inputs)
    assert ("failed", ("cov",)) == (other.reason, other.terms)


def test_terms_whose_gradient_is_not_finite_are_named_with_their_parameters(
    device: torch.device,
) -> None:
    for terms in (("margin",), ("cov", "margin")):

        def change(name: str, term: Tensor, network: Small) -> Tensor:
            at_zero = (network.heads.bias * 0.0).sum()
            return term + at_zero.sqrt() if name in terms else term  # noqa: B023

        refusal = explained(small_network(device), scenes_on(device), change)

        assert Refusal(3, "gradient", terms, ("heads.bias",), ()) == refusal


def test_gradients_of_zero_or_missing_ones_are_named_and_sound_ones_are_not(
    device: torch.device,
) -> None:
    def losses(plan: Plan) -> Iterable[HasLoss]:
        yield SmallLoss(torch.tensor(1.0), {name: torch.tensor(1.0) for name in plan.active}, {})

    scenes = scenes_on(device)
    zero, sound = (
        explained(small_network(device), scenes, lambda _, term, __, scale=scale: term * scale)  # type: ignore[misc]
        for scale in (0.0, 1.0)
    )

    assert Refusal(3, "no gradient", (), (), ()) == zero
    assert "no gradient" == explain(0, scenes, PLAN, losses, {}).reason
    assert Refusal(3, "not again", (), (), ()) == sound
    assert "batch 3: not again" == sound.sentence()
    long = Refusal(0, "gradient", ("cov",), ("a", "b", "c", "d", "e"), ("frames.y",))
    assert "batch 0: gradient in cov at a, b, c and 2 more from frames.y" == long.sentence()


def test_measurements_that_are_not_finite_are_named(device: torch.device) -> None:
    poisoned = with_first_value(math.nan)(scenes_on(device))

    refusal = explained(small_network(device), poisoned, lambda _, term, __: term)

    assert ("value", ("frames.y",)) == (refusal.reason, refusal.inputs)
    assert ("cov", "count", "margin") == refusal.terms


def test_frozen_parameters_and_gradients_at_hand_are_left_alone(device: torch.device) -> None:
    network = small_network(device)
    network.backbone.requires_grad_(False)
    network.heads.bias.grad = torch.full_like(network.heads.bias, 7.0)

    refusal = explained(network, scenes_on(device), lambda _, term, __: term / 0.0)

    assert "backbone.weight" not in refusal.parameters
    assert [7.0] * len(network.heads.bias) == network.heads.bias.grad.tolist()
