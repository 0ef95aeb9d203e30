"""Once: NaN gradients stuck the parameters from epoch 3 on, and nobody was told whose they were."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from risexp.data.frames import Scenes
from risexp.errors import TrainingAborted
from risexp.training.plan import Plan
from risexp.training.stepper import Stepper
from risexp.training.trainer import Trainer
from tests.support.trainers import (
    Poisoned,
    SmallLoss,
    epochs_of,
    guarded_epochs,
    small_config,
    small_loss,
    small_trainer,
    summed,
    with_first_value,
)

BATCHES = 40
CONFIG = small_config(training__epochs=1, training__scenes_per_epoch=16 * BATCHES)


def silent(scenes: Scenes) -> Scenes:
    """Frames in which nothing is heard; the network's own norm keeps them finite."""
    return Scenes(replace(scenes.frames, y=torch.zeros_like(scenes.frames.y)), scenes.truth)


def root_of_loudness(network: nn.Module, scenes: Scenes, plan: Plan) -> SmallLoss:
    """The term `cov` has a square root whose slope is infinite on silent frames."""
    loss = small_loss(network, scenes, plan)
    loud = scenes.frames.y.abs().square().sum().clamp(max=1.0).float()
    rooted = (loud * network.get_parameter("heads.bias").square().sum()).sqrt()
    terms = {name: (term + rooted if name == "cov" else term) for name, term in loss.terms.items()}
    return summed(terms, plan.active)


Poison = Callable[[Scenes], Scenes]
NAN = with_first_value(math.nan)


def poisoned(poison: Poison, count: int, device: torch.device) -> Trainer:
    """A run in which every thirteenth batch is poisoned from the first on, this many of them."""
    where = frozenset((1, 13 * index) for index in range(count))
    return small_trainer(
        CONFIG,
        objective=root_of_loudness,
        batches=lambda sound: Poisoned(sound, where, poison),
        device=device,
    )


@pytest.mark.fault("F19")
@pytest.mark.parametrize(
    ("poison", "reason", "inputs"),
    [
        (NAN, "value", ("frames.y",)),
        (with_first_value(math.inf), "value", ("frames.y",)),
        (silent, "gradient", ()),
    ],
)
def test_a_few_spoiled_batches_are_refused_and_named(
    device: torch.device, poison: Poison, reason: str, inputs: tuple[str, ...]
) -> None:
    trainer = poisoned(poison, 2, device)

    (epoch,) = epochs_of(trainer)

    assert ((0, 13), BATCHES - 2) == (epoch.steps.refused, epoch.steps.taken)
    assert [(0, reason, inputs), (13, reason, inputs)] == [
        (each.batch, each.reason, each.inputs) for each in epoch.refused
    ]
    assert all("cov" in each.terms and each.parameters for each in epoch.refused)
    state = trainer.state()
    for weight in (*state.weights.values(), *state.averaged.values()):
        assert bool(weight.isfinite().all())
    assert math.isfinite(epoch.losses.total)
    if poison is silent:
        # The guilty term and parameter stand alone.
        assert {(("cov",), ("heads.bias",))} == {
            (each.terms, each.parameters) for each in epoch.refused
        }


@pytest.mark.fault("F19")
def test_more_than_a_twentieth_refused_ends_the_run_with_its_reason(device: torch.device) -> None:
    with pytest.raises(TrainingAborted, match="epoch 1: 3 of 40 steps were refused") as caught:
        guarded_epochs(poisoned(NAN, 3, device))

    assert "refused" == caught.value.guard


def test_without_the_gate_the_weights_would_rot_and_be_seen(
    device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    def open_gate(stepper: Stepper, total: Tensor, batch: int) -> Tensor:
        taken = torch.ones((), dtype=torch.bool, device=total.device)
        norm = torch.ones_like(total)
        stepper.optimizer.gated_step(taken, stepper._largest_rates)
        stepper.optimizer.zero_grad()
        stepper._taken += 1
        stepper.average.add(taken, stepper._taken)
        stepper._meter.add(batch, taken, norm, 1.0)
        return taken

    monkeypatch.setattr(Stepper, "step", open_gate)
    trainer = poisoned(NAN, 1, device)
    trainer.validate = lambda _, __: {"k_loc": 1.0}

    with pytest.raises(TrainingAborted, match=r"epoch 1: .*a weight is no finite number") as caught:
        guarded_epochs(trainer)

    assert "weights" == caught.value.guard
