"""Once: loss, backward and step stood outside the batch loop: one step an epoch, or none."""

from collections.abc import Collection

import pytest
import torch
from torch import Tensor

from risexp.errors import TrainingAborted
from risexp.training.events import EpochEnded
from risexp.training.stepper import Stepper
from tests.support.trainers import epochs_of, guarded_epochs, small_config, small_trainer


@pytest.mark.parametrize("stepped", [(3,), ()])
def test_missing_steps_are_told_by_the_epoch_and_end_the_run(
    monkeypatch: pytest.MonkeyPatch, stepped: Collection[int]
) -> None:
    """Plant the fault: only these batches of an epoch reach the optimizer."""
    honest = Stepper.step

    def step(stepper: Stepper, total: Tensor, batch: int) -> Tensor:
        if batch in stepped:
            return honest(stepper, total, batch)
        return torch.ones((), dtype=torch.bool, device=total.device)

    monkeypatch.setattr(Stepper, "step", step)
    told = next(each for each in small_trainer().run() if isinstance(each, EpochEnded))
    count = len(stepped)

    with pytest.raises(
        TrainingAborted, match=f"epoch 1: {count} of 4 batches were a step"
    ) as caught:
        guarded_epochs(small_trainer())

    assert (4, count, count) == (told.steps.batches, told.steps.taken, told.steps.total)
    assert "steps" == caught.value.guard


@pytest.mark.parametrize("pieces", [1, 2, 4])
def test_every_batch_is_one_step(device: torch.device, pieces: int) -> None:
    trainer = small_trainer(small_config(training__accumulation=pieces), device=device)

    epochs = epochs_of(trainer)

    assert [(4, 4, 4), (4, 4, 8), (4, 4, 12)] == [
        (each.steps.batches, each.steps.taken, each.steps.total) for each in epochs
    ]
    assert 12 == trainer.progress.step
