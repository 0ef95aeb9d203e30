"""Once: loss, backward and step stood outside the batch loop: one step an epoch, for months."""

import pytest
import torch
from torch import Tensor

from risexp.errors import TrainingAborted
from risexp.training.events import EpochEnded
from risexp.training.stepper import Stepper
from tests.support.trainers import epochs_of, guarded_epochs, small_config, small_trainer


def once_an_epoch(monkeypatch: pytest.MonkeyPatch, batches: int) -> None:
    """Plant the fault: only the last batch of an epoch reaches the optimizer."""
    honest = Stepper.step

    def step(stepper: Stepper, total: Tensor, batch: int) -> Tensor:
        if batch == batches - 1:
            return honest(stepper, total, batch)
        return torch.ones((), dtype=torch.bool, device=total.device)

    monkeypatch.setattr(Stepper, "step", step)


def test_one_step_an_epoch_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    once_an_epoch(monkeypatch, batches=4)

    with pytest.raises(TrainingAborted, match="epoch 1: 1 of 4 batches were a step") as caught:
        guarded_epochs(small_trainer())

    assert "steps" == caught.value.guard


def test_the_epoch_tells_of_its_missing_steps_before_it_ends_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    once_an_epoch(monkeypatch, batches=4)

    told = next(each for each in small_trainer().run() if isinstance(each, EpochEnded))

    assert (4, 1, 1) == (told.steps.batches, told.steps.taken, told.steps.total)


@pytest.mark.parametrize("pieces", [1, 2, 4])
def test_every_batch_is_one_step(device: torch.device, pieces: int) -> None:
    trainer = small_trainer(small_config(training__accumulation=pieces), device=device)

    epochs = epochs_of(trainer)

    assert [(4, 4), (4, 4), (4, 4)] == [(each.steps.batches, each.steps.taken) for each in epochs]
    assert [4, 8, 12] == [each.steps.total for each in epochs]
    assert 12 == trainer.progress.step
