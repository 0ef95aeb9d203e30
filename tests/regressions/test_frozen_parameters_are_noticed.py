"""Once: weights stood still for 30 epochs, and half of them never received a gradient at all."""

from functools import partial

import torch
from torch import Tensor, nn

from risexp.callbacks.guards import EpochGuard, GuardCallback
from risexp.callbacks.learning_guards import GradientGuard, never_touched
from risexp.callbacks.run_loop import run_loop
from risexp.data.frames import Frames
from risexp.training.epoch_checks import Limits
from tests.support.trainers import Small, small_trainer


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


def test_parameters_that_no_term_depends_on_are_noticed_and_named(device: torch.device) -> None:
    trainer = small_trainer(device=device, network=Deaf().to(device))
    asked = partial(never_touched, trainer.stepper)
    watch = GuardCallback([EpochGuard(Limits()), GradientGuard(asked, trainer.plans)])

    outcome = run_loop(trainer, (watch, watch.enforce), "run-1", lambda _: None)

    assert ("gradient", 4) == (outcome.reason, outcome.exit_code)
    assert outcome.sentence.startswith("epoch 3: ")
    for name in ("forgotten.weight", "forgotten.bias", "heads_unused.weight"):
        assert name in outcome.sentence
    assert "and 1 more never received a gradient" in outcome.sentence
