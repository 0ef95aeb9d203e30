"""Once: a run stopped early where a phase began: the new phase's loss was on another scale."""

from risexp.callbacks.early_stopping import EarlyStopping
from risexp.training.events import EpochEnded, Event, StopTraining
from tests.support.recorded_runs import Told, followed, k_locs, plans_of

PHASES = plans_of(*("geometry",) * 3, *("count",) * 2, *("joint",) * 4)
VALUES = (5.0, 3.0, 3.1, 6.0, 5.5, 4.9, 4.2, 2.9, 2.5)
"""Each phase begins worse than the one before ended, and the last becomes the best of all."""


class Naive:
    """Plant the fault: patience that knows no phases."""

    best = float("inf")
    since = 0

    def __call__(self, event: Event) -> None:
        if isinstance(event, EpochEnded):
            better = event.scores["k_loc"] < self.best
            self.since = 0 if better else self.since + 1
            self.best = min(self.best, event.scores["k_loc"])
            if self.since >= 3:
                raise StopTraining("early-stop")


def test_a_phase_that_begins_worse_ends_no_run_and_a_last_one_that_stays_so_does() -> None:
    runs = [Told(PHASES, k_locs(*VALUES)) for _ in range(2)]
    stuck = Told(PHASES, k_locs(*VALUES[:5], *[9.0] * 4))

    naive, ours = followed(runs[0], Naive()), followed(runs[1], EarlyStopping(3, "joint"))
    ended = followed(stuck, EarlyStopping(2, "joint"))

    assert ("early-stop", 5) == (naive.reason, runs[0].progress.epoch)
    assert ("finished", 9) == (ours.reason, runs[1].progress.epoch)
    assert ("early-stop", 7) == (ended.reason, stuck.progress.epoch)
