from collections.abc import Callable

from risexp.callbacks.early_stopping import EarlyStopping, TimeBudget
from risexp.training.events import EpochEnded, Event
from tests.support.recorded_runs import Told, followed, joint, k_locs, plan_of, plans_of


def epochs_told(trainer: Told, callback: Callable[[Event], None]) -> tuple[str, int]:
    """Why a run ended, and how many epochs it had."""
    told: list[Event] = []
    outcome = followed(trainer, told.append, callback)
    return outcome.reason, sum(isinstance(event, EpochEnded) for event in told)


def test_patience_ends_a_run_that_is_no_better_for_so_many_epochs() -> None:
    trainer = Told(plans_of(*("joint",) * 8), k_locs(5, 4, 4.5, 4.2, 4.0, 3, 2, 1))

    assert ("early-stop", 5) == epochs_told(trainer, EarlyStopping(3, "joint"))


def test_patience_does_not_end_a_run_that_improves() -> None:
    trainer = Told(plans_of(*("joint",) * 8), k_locs(8, 7, 7, 6, 6, 5, 5, 4))

    assert ("finished", 8) == epochs_told(trainer, EarlyStopping(2, "joint"))


def test_patience_does_not_count_epochs_that_are_not_judged() -> None:
    plans = tuple(plan_of(epoch, judged=epoch > 4) for epoch in range(1, 9))
    trainer = Told(plans, k_locs(1, 2, 3, 4, 9, 9, 9, 9))

    assert ("early-stop", 7) == epochs_told(trainer, EarlyStopping(2, "joint"))


def test_patience_never_cuts_off_the_phases_that_follow() -> None:
    plans = plans_of(*("geometry",) * 4, *("joint",) * 4)
    trainer = Told(plans, k_locs(5, 6, 6, 6, 4, 3, 2, 1))

    assert ("finished", 8) == epochs_told(trainer, EarlyStopping(2, "joint"))


def times(*seconds: float) -> Callable[[], float]:
    left = iter(seconds)
    return lambda: next(left)


def test_a_time_limit_ends_the_run_with_the_epoch_that_passes_it() -> None:
    limit = TimeBudget(60.0, clock=times(1000.0, 1025.0, 1050.0, 1075.0, 1100.0))

    assert ("time-limit", 3) == epochs_told(joint(5), limit)


def test_a_time_limit_includes_earlier_attempts() -> None:
    limit = TimeBudget(60.0, spent_s=30.0, clock=times(1000.0, 1025.0, 1050.0))

    assert ("time-limit", 2) == epochs_told(joint(5), limit)


def test_a_time_limit_reached_with_the_last_epoch_cuts_nothing_short() -> None:
    limit = TimeBudget(60.0, clock=times(1000.0, 1030.0, 1061.0))

    assert ("finished", 2) == epochs_told(joint(2), limit)
