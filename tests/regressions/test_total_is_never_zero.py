"""Once: the main weight was never set on one path, and the total loss was exactly 0."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from risexp.config.layers import load_config
from risexp.data.frames import Scenes
from risexp.errors import ConfigInvalid, TrainingAborted
from risexp.training.plan import Plan
from tests.support.trainers import SmallLoss, guarded_epochs, small_loss, small_trainer, summed

MAIN = ("cov", "cov_pred", "count", "pointers")


@pytest.mark.parametrize("section", ["loss", "curriculum.geometry", "curriculum.count"])
def test_a_configuration_without_a_main_weight_is_refused(section: str) -> None:
    overrides = [f"{section}.{name}=0" for name in MAIN]

    with pytest.raises(ConfigInvalid, match="no main term has a weight"):
        load_config(overrides=[*overrides, f"{section}.subspace=0.5"])


def without_its_terms(loss: SmallLoss, plan: Plan) -> SmallLoss:
    return summed({name: 0.0 * term for name, term in loss.terms.items()}, plan.active)


def with_total(change: Callable[[Tensor], Tensor]) -> Callable[[SmallLoss, Plan], SmallLoss]:
    return lambda loss, _: replace(loss, total=change(loss.total))


@pytest.mark.parametrize(
    ("fault", "guard", "said"),
    [
        (without_its_terms, "steps", "none of 4 steps was taken"),
        (with_total(lambda total: total - total.detach()), "loss", "the total loss is exactly ze"),
        (with_total(lambda total: 2.0 * total), "loss", "the total loss is .* its terms add up to"),
    ],
)
def test_a_total_of_zero_or_of_other_terms_ends_the_run(
    device: torch.device, fault: Callable[[SmallLoss, Plan], SmallLoss], guard: str, said: str
) -> None:
    def lost(network: nn.Module, scenes: Scenes, plan: Plan) -> SmallLoss:
        return fault(small_loss(network, scenes, plan), plan)

    with pytest.raises(TrainingAborted, match=f"epoch 1: {said}") as caught:
        guarded_epochs(small_trainer(objective=lost, device=device))

    assert guard == caught.value.guard
