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
from risexp.training.replay import BatchObjective
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


def test_what_the_loss_is_given_is_the_table_and_its_terms_weigh_what_it_says(
    device: torch.device,
) -> None:
    used: dict[int, Plan] = {}

    def noted(network: nn.Module, scenes: Scenes, plan: Plan) -> SmallLoss:
        used[plan.epoch] = plan
        return small_loss(network, scenes, plan)

    epochs = epochs_of(small_trainer(CONFIG, objective=noted, device=device))

    assert curriculum(CONFIG) == tuple(used.values()) == tuple(each.plan for each in epochs)
    for each in epochs:
        raw, weighted = each.losses.raw, each.losses.weighted
        weights = {name: weighted[name] / raw[name] for name in raw}
        assert each.plan.active == pytest.approx(weights, rel=1e-5)


@pytest.mark.parametrize(
    ("fault", "said"),
    [(stuck_ramp, "the term count adds"), (stale_table, "the loss has the terms")],
)
def test_a_weight_or_a_term_that_is_not_the_plans_ends_the_run(
    device: torch.device, fault: BatchObjective, said: str
) -> None:
    with pytest.raises(TrainingAborted, match=f"epoch 1: {said}") as caught:
        guarded_epochs(small_trainer(CONFIG, objective=fault, device=device))

    assert "plan" == caught.value.guard
