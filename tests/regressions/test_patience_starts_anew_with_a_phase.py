"""Once: a run stopped early where a phase began: the new phase's loss was on another scale."""

import pytest

from risexp.callbacks.early_stopping import EarlyStopping
from risexp.config.training import Phase
from risexp.training.events import EpochEnded, Event, StopTraining
from tests.support.recorded_runs import Told, followed, k_locs, plans_of

PHASES: tuple[tuple[Phase, int], ...] = (("geometry", 3), ("count", 2), ("joint", 4))
"""Each with its number of epochs."""
VALUES = (5.0, 3.0, 3.1, 6.0, 5.5, 4.9, 4.2, 2.9, 2.5)
"""Each phase begins worse than the one before ended, and the last becomes the best of all."""


class Naive:
    """Plant the fault: patience that knows no phases."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs
        self.best = float("inf")
        self.since = 0

    def __call__(self, event: Event) -> None:
        if isinstance(event, EpochEnded):
            self.since += 1
            if event.scores["k_loc"] < self.best:
                self.best, self.since = event.scores["k_loc"], 0
            if self.since >= self.epochs:
                raise StopTraining("early-stop")


def three_phases(values: tuple[float, ...] = VALUES) -> Told:
    return Told(
        plans_of(*(phase for phase, epochs in PHASES for _ in range(epochs))), k_locs(*values)
    )


def test_a_patience_that_knows_no_phases_would_end_the_run_in_the_second() -> None:
    trainer = three_phases()

    assert "early-stop" == followed(trainer, Naive(3)).reason
    assert 5 == trainer.progress.epoch


def test_a_phase_that_begins_worse_ends_no_run() -> None:
    trainer = three_phases()

    assert "finished" == followed(trainer, EarlyStopping(3, "joint")).reason
    assert 9 == trainer.progress.epoch


@pytest.mark.parametrize("patience", [1, 2, 3])
def test_a_last_phase_that_becomes_no_better_still_does(patience: int) -> None:
    trainer = three_phases((*VALUES[:5], 9.0, 9.0, 9.0, 9.0))

    assert "early-stop" == followed(trainer, EarlyStopping(patience, "joint")).reason
    assert 5 + patience == trainer.progress.epoch
