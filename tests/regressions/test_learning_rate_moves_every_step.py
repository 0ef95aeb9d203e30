"""Once: parameters stood still for 30 epochs: a warm-up from zero that advanced once an epoch.

The horizon was counted in batches and the steps in epochs.
"""

import pytest
import torch
from torch import Tensor

from risexp.errors import TrainingAborted
from risexp.training.optimizer import Schedule
from risexp.training.stepper import Stepper
from tests.support.trainers import epochs_of, guarded_epochs, small_config, small_trainer

CONFIG = small_config(
    training__epochs=4,
    training__optimizer__lr=0.02,
    training__optimizer__warmup_share=0.25,
    training__optimizer__final_share=0.1,
)
"""Sixteen steps, of which four rise."""


def rates_of_batches(device: torch.device, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The learning rate each batch was given."""
    seen: list[float] = []
    honest = Stepper.step

    def step(stepper: Stepper, total: Tensor, batch: int) -> Tensor:
        taken = honest(stepper, total, batch)
        seen.append(float(stepper.optimizer.rates["backbone"]))
        return taken

    with monkeypatch.context() as patch:
        patch.setattr(Stepper, "step", step)
        epochs_of(small_trainer(CONFIG, device=device))
    return seen


def test_every_step_has_a_rate_of_its_own_and_one_an_epoch_would_be_seen(
    device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates, honest = rates_of_batches(device, monkeypatch), Schedule.factor
    monkeypatch.setattr(Schedule, "factor", lambda self, step: honest(self, (step - 1) // 4 + 1))

    planted = rates_of_batches(device, monkeypatch)

    assert 16 == len(rates) == len(set(rates))
    assert [0.005, 0.02, 0.011, 0.002] == pytest.approx([rates[at] for at in (0, 3, 9, 15)])
    assert 4 == len(set(planted))


def test_a_warm_up_from_zero_that_stays_there_ends_the_run(
    device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Schedule, "factor", lambda _, step: 0.0 * step.double())

    with pytest.raises(TrainingAborted, match="no weight of the backbone moved in 4 st") as caught:
        guarded_epochs(small_trainer(CONFIG, device=device))

    assert "moved" == caught.value.guard
