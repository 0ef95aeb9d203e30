"""Once: weights stood still for 30 epochs, and half of them never received a gradient at all."""

from functools import partial

import pytest
import torch
from torch import Tensor, nn

from risexp.callbacks.guards import EpochGuard, GuardCallback
from risexp.callbacks.learning_guards import GradientGuard, never_touched
from risexp.callbacks.run_loop import run_loop
from risexp.data.frames import Frames
from risexp.runs.outcome import Outcome
from risexp.training.epoch_checks import Limits
from risexp.training.events import EpochEnded
from risexp.training.optimizer import Schedule
from risexp.training.trainer import Trainer
from tests.support.trainers import Small, small_config, small_trainer


class Deaf(Small):
    """Plant the fault: one output is computed and used by no term; one layer is never asked."""

    def __init__(self) -> None:
        super().__init__()
        self.heads_unused = nn.Linear(8, 5)
        self.forgotten = nn.Linear(3, 2)

    def forward(self, frames: Frames) -> Tensor:
        answer = super().forward(frames)
        self.heads_unused(answer[:, :8])
        return answer


def guarded(trainer: Trainer) -> Outcome:
    asked = partial(never_touched, trainer.stepper)
    watch = GuardCallback([EpochGuard(Limits()), GradientGuard(asked, trainer.plans)])
    return run_loop(trainer, (watch, watch.enforce), "run-1", lambda _: None)


def test_a_warm_up_that_never_leaves_zero_is_noticed(
    device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Schedule, "factor", lambda _, step: torch.zeros_like(step).double())

    outcome = guarded(small_trainer(device=device))

    assert ("moved", 4) == (outcome.reason, outcome.exit_code)
    assert "epoch 1: no weight of the backbone moved in 4 steps" in outcome.sentence


def test_parameters_that_no_term_depends_on_are_noticed_and_named(device: torch.device) -> None:
    outcome = guarded(small_trainer(device=device, network=Deaf().to(device)))

    assert ("gradient", 4) == (outcome.reason, outcome.exit_code)
    assert outcome.sentence.startswith("epoch 3: ")
    for name in ("forgotten.weight", "forgotten.bias", "heads_unused.weight"):
        assert name in outcome.sentence
    assert "and 1 more never received a gradient" in outcome.sentence


def test_a_network_that_is_used_whole_ends_nothing(device: torch.device) -> None:
    assert "finished" == guarded(small_trainer(device=device)).reason


class Hidden(Small):
    """Its backbone lies behind a layer of zeros, as that of a new network often does."""

    def __init__(self) -> None:
        super().__init__()
        nn.init.zeros_(self.heads.weight)


def test_a_backbone_that_a_layer_of_zeros_hides_at_first_ends_nothing(
    device: torch.device,
) -> None:
    config = small_config(training__scenes_per_epoch=16)
    trainer = small_trainer(config, device=device, network=Hidden().to(device))
    asked = partial(never_touched, trainer.stepper)

    first = next(each for each in trainer.run() if isinstance(each, EpochEnded))

    assert 1 == first.steps.taken
    assert ["backbone.weight", "backbone.bias"] == list(asked()["backbone"])
    assert (
        "finished"
        == guarded(small_trainer(config, device=device, network=Hidden().to(device))).reason
    )
