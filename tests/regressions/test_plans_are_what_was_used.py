"""Once: the count weighed 0.05 for a whole run: a ramp and a curriculum overwrote one another.

The table of phases had no effect at all, and every log showed what was configured.
"""

import pytest
import torch
from torch import nn

from risexp.data.frames import Scenes
from risexp.errors import TrainingAborted
from risexp.training.curriculum import curriculum
from risexp.training.plan import Plan
from tests.support.trainers import (
    SmallLoss,
    epochs_of,
    guarded_epochs,
    small_config,
    small_loss,
    small_trainer,
    summed,
)

CONFIG = small_config(
    training__epochs=8,
    curriculum__phase="three-phase",
    curriculum__count_ramp=5,
    curriculum__structure_ramp=4,
    beta__final=0.3,
    beta__jitter=0.02,
)


def stuck_ramp(network: nn.Module, scenes: Scenes, plan: Plan) -> SmallLoss:
    """Plant the fault: a ramp that captured its target in the first phase outlives it."""
    loss = small_loss(network, scenes, plan)
    return summed(loss.terms, {**plan.active, "count": 0.05})


def stale_table(network: nn.Module, scenes: Scenes, plan: Plan) -> SmallLoss:
    """Plant another: the terms of the joint phase are used in every phase."""
    loss = small_loss(network, scenes, plan)
    joint = curriculum(CONFIG)[-1].active
    return summed(dict.fromkeys(joint, loss.total), joint)


def test_what_the_loss_is_given_is_the_table(device: torch.device) -> None:
    used: dict[int, Plan] = {}

    def noted(network: nn.Module, scenes: Scenes, plan: Plan) -> SmallLoss:
        used[plan.epoch] = plan
        return small_loss(network, scenes, plan)

    epochs = epochs_of(small_trainer(CONFIG, objective=noted, device=device))

    assert curriculum(CONFIG) == tuple(used.values()) == tuple(each.plan for each in epochs)


def test_the_losses_that_are_told_weigh_what_the_table_says(device: torch.device) -> None:
    for each in epochs_of(small_trainer(CONFIG, device=device)):
        weights = {
            name: each.losses.weighted[name] / each.losses.raw[name] for name in each.losses.raw
        }

        assert each.plan.active == pytest.approx(weights, rel=1e-5)


def test_a_weight_that_is_not_the_plans_ends_the_run(device: torch.device) -> None:
    with pytest.raises(TrainingAborted, match="epoch 1: the term count adds") as caught:
        guarded_epochs(small_trainer(CONFIG, objective=stuck_ramp, device=device))

    assert "plan" == caught.value.guard


def test_terms_that_are_not_the_plans_end_the_run(device: torch.device) -> None:
    with pytest.raises(TrainingAborted, match="epoch 1: the loss has the terms") as caught:
        epochs_of(small_trainer(CONFIG, objective=stale_table, device=device))

    assert "plan" == caught.value.guard


def test_the_phases_of_the_table_differ() -> None:
    table = curriculum(CONFIG.replace({"curriculum.count_ramp": 0}))
    weights = {plan.phase: plan.weights for plan in table}

    assert [0.1, 1.5, 1.0] == [weights[name]["count"] for name in ("geometry", "count", "joint")]
