"""Once: the training loss looked tiny: that of the last batch alone, over the number of them."""

import math

import pytest
import torch
from torch import Tensor, nn

from risexp.data.frames import Scenes
from risexp.training.meters import LossMeter
from risexp.training.plan import Plan
from tests.support.trainers import (
    Poisoned,
    SmallLoss,
    epochs_of,
    small_config,
    small_loss,
    small_trainer,
    with_first_value,
)

BATCHES = 32


def told_and_recomputed(device: torch.device) -> tuple[float, float, int]:
    """The loss an epoch tells, the mean of what its batches were, and the scenes it says it had."""
    seen: list[float] = []

    def noted(network: nn.Module, scenes: Scenes, plan: Plan) -> SmallLoss:
        loss = small_loss(network, scenes, plan)
        seen.append(float(loss.total.detach()))
        return loss

    trainer = small_trainer(
        small_config(training__epochs=1, training__scenes_per_epoch=16 * BATCHES),
        objective=noted,
        batches=lambda sound: Poisoned(sound, frozenset({(1, 5)}), with_first_value(math.nan)),
        device=device,
    )
    (epoch,) = epochs_of(trainer)
    good = [total for total in seen[:BATCHES] if math.isfinite(total)]
    return epoch.losses.total, sum(good) / len(good), epoch.losses.scenes


def test_the_loss_of_an_epoch_is_that_of_all_batches_not_refused(
    device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, recomputed, scenes = told_and_recomputed(device)
    honest = LossMeter.add

    def last_only(means: LossMeter, values: Tensor, scenes: int, taken: Tensor) -> None:
        means._sums.zero_()
        honest(means, values, scenes, taken)

    monkeypatch.setattr(LossMeter, "add", last_only)
    planted, mean, _ = told_and_recomputed(device)

    assert recomputed == pytest.approx(told, rel=1e-6)
    assert 16 * (BATCHES - 1) == scenes
    assert planted < 0.1 * mean
