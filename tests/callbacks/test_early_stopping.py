from collections.abc import Callable

from risexp.callbacks.early_stopping import EarlyStopping, TimeBudget
from risexp.training.events import EpochEnded, Event
from tests.support.recorded_runs import Told, followed, joint, k_locs, plan_of, plans_of


def epochs_told(trainer: Told, callback: Callable[[Event], None]) -> tuple[str, int]:
    """Why a run ended, and how many epochs it had."""
    told: list[Event] = []
    outcome = followed(trainer, told.append, callback)
    return outcome.reason, sum(isinstance(event, EpochEnded) for event in told)


def test_patience_ends_a_run_that_is_no_better_for_so_many_judged_epochs() -> None:
    joint8, phases = plans_of(*("joint",) * 8), plans_of(*("geometry",) * 4, *("joint",) * 4)
    late = tuple(plan_of(epoch, judged=epoch > 4) for epoch in range(1, 9))
    for plans, scores, patience, expected in (
        (joint8, (5, 4, 4.5, 4.2, 4.0, 3, 2, 1), 3, ("early-stop", 5)),
        (joint8, (8, 7, 7, 6, 6, 5, 5, 4), 2, ("finished", 8)),
        (late, (1, 2, 3, 4, 9, 9, 9, 9), 2, ("early-stop", 7)),
        (phases, (5, 6, 6, 6, 4, 3, 2, 1), 2, ("finished", 8)),
    ):
        trainer = Told(plans, k_locs(*scores))

        assert expected == epochs_told(trainer, EarlyStopping(patience, "joint"))


def times(*seconds: float) -> Callable[[], float]:
    left = iter(seconds)
    return lambda: next(left)


def test_a_time_limit_ends_the_run_with_the_epoch_that_passes_it_over_all_attempts() -> None:
    limit = TimeBudget(60.0, clock=times(1000.0, 1025.0, 1050.0, 1075.0, 1100.0))
    later = TimeBudget(60.0, spent_s=30.0, clock=times(1000.0, 1025.0, 1050.0))
    last = TimeBudget(60.0, clock=times(1000.0, 1030.0, 1061.0))

    assert ("time-limit", 3) == epochs_told(joint(5), limit)
    assert ("time-limit", 2) == epochs_told(joint(5), later)
    assert ("finished", 2) == epochs_told(joint(2), last)
