"""Once: the main weight was never set on one path, and the total loss was exactly 0."""

import pytest
import torch
from torch import nn

from risexp.config.layers import load_config
from risexp.data.frames import Scenes
from risexp.errors import ConfigInvalid, TrainingAborted
from risexp.loss.weighting import Fixed, weighted_loss
from risexp.training.plan import Plan
from tests.support.predictions import pair_of, random_prediction, small_target
from tests.support.trainers import SmallLoss, guarded_epochs, small_loss, small_trainer, summed

MAIN = ("cov", "cov_pred", "count", "pointers")


@pytest.mark.parametrize("section", ["loss", "curriculum.geometry", "curriculum.count"])
def test_a_configuration_without_a_main_weight_is_refused(section: str) -> None:
    overrides = [f"{section}.{name}=0" for name in MAIN]

    with pytest.raises(ConfigInvalid, match="no main term has a weight"):
        load_config(overrides=[*overrides, f"{section}.subspace=0.5"])


def test_weights_that_were_lost_on_the_way_are_refused(device: torch.device) -> None:
    target = small_target(device=device)
    pair = pair_of(random_prediction(target), target)

    with pytest.raises(ConfigInvalid, match="no term of the loss has a weight"):
        weighted_loss(pair, {"count": 0.0, "cov": 0.0}, Fixed())


def test_a_total_of_zero_ends_the_run(device: torch.device) -> None:
    def lost(network: nn.Module, scenes: Scenes, plan: Plan) -> SmallLoss:
        terms = small_loss(network, scenes, plan).terms
        return summed({name: 0.0 * term for name, term in terms.items()}, plan.active)

    with pytest.raises(TrainingAborted, match="epoch 1: none of 4 steps was taken") as caught:
        guarded_epochs(small_trainer(objective=lost, device=device))

    assert "steps" == caught.value.guard
