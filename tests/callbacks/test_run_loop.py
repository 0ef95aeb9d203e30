import signal
from collections.abc import Callable

import pytest

from risexp.callbacks.run_loop import run_loop
from risexp.errors import ConfigInvalid, EnvironmentFailed, TrainingAborted
from risexp.runs.outcome import EndRun, Outcome, StopNow, pruned, signalled
from risexp.training.events import (
    BatchEnded,
    EpochEnded,
    EpochStarted,
    Event,
    RunEnded,
    RunStarted,
    StopTraining,
)
from risexp.training.progress import Progress
from tests.support.recorded_runs import followed, joint, started_of

Raise = Callable[[Event], None]


def at_epoch(epoch: int, error: BaseException) -> Raise:
    """An observer that raises once an epoch has ended."""

    def observer(event: Event) -> None:
        if isinstance(event, EpochEnded) and event.plan.epoch == epoch:
            raise error

    return observer


def test_every_observer_is_told_every_event_in_the_order_given() -> None:
    told: list[tuple[str, str]] = []

    def listener(name: str) -> Raise:
        return lambda event: told.append((name, type(event).__name__))

    followed(joint(1), listener("first"), listener("second"))

    kinds = [RunStarted, EpochStarted, *[BatchEnded] * 4, EpochEnded, RunEnded]
    expected = [(name, kind.__name__) for kind in kinds for name in ("first", "second")]
    assert expected == told


def test_a_run_to_its_last_epoch_is_complete() -> None:
    outcome = followed(joint(3))

    assert Outcome("complete", "finished", "the run ended after epoch 3: finished", 0) == outcome


def test_a_resumed_run_says_what_it_has_behind_it() -> None:
    trainer = joint(3)
    trainer.progress = Progress(epoch=2, step=8, phase="joint")
    told: list[Event] = []

    followed(trainer, told.append)

    assert started_of(joint(3)) != told[0]
    assert RunStarted("run-1", epochs=3, done=2, batches=4) == told[0]
    assert 1 == sum(isinstance(event, EpochEnded) for event in told)


def test_who_stops_a_run_completes_it() -> None:
    outcome = followed(joint(3), at_epoch(2, StopTraining("early-stop")))

    assert ("complete", "early-stop", 0, False) == (
        outcome.status,
        outcome.reason,
        outcome.exit_code,
        outcome.resumable,
    )


def test_who_stops_after_the_last_epoch_has_stopped_nothing() -> None:
    assert "finished" == followed(joint(3), at_epoch(3, StopTraining("early-stop"))).reason


def test_a_guard_ends_a_run_with_its_name_and_exit_code_4() -> None:
    fault = TrainingAborted("epoch 2: nothing moved; look at the rate", guard="moved")

    outcome = followed(joint(3), at_epoch(2, fault))

    assert Outcome("aborted", "moved", "epoch 2: nothing moved; look at the rate", 4) == outcome


def test_a_study_may_prune_a_run() -> None:
    outcome = followed(joint(3), at_epoch(2, EndRun(pruned("k_loc 5 at epoch 2"))))

    assert Outcome("pruned", "pruned", "k_loc 5 at epoch 2", 0) == outcome


@pytest.mark.parametrize(
    ("number", "status", "code"),
    [
        (signal.SIGTERM, "released", 75),
        (signal.SIGUSR1, "released", 75),
        (signal.SIGINT, "interrupted", 130),
    ],
)
def test_a_signal_leaves_a_run_that_can_go_on(number: int, status: str, code: int) -> None:
    gentle = followed(joint(3), at_epoch(2, EndRun(signalled(number))))
    at_once = followed(joint(3), at_epoch(2, StopNow(signalled(number))))

    assert gentle == at_once
    assert (status, "interrupted", code, True) == (
        gentle.status,
        gentle.reason,
        gentle.exit_code,
        gentle.resumable,
    )


def test_ctrl_c_without_a_listener_is_an_interruption_too() -> None:
    assert 130 == followed(joint(3), at_epoch(2, KeyboardInterrupt())).exit_code


def test_an_unexpected_error_goes_on_upwards_once_all_is_told_and_recorded() -> None:
    told: list[Event] = []
    recorded: list[Outcome] = []

    with pytest.raises(ZeroDivisionError):
        run_loop(
            joint(3),
            (told.append, at_epoch(2, ZeroDivisionError("float division"))),
            "run-1",
            recorded.append,
        )

    (outcome,) = recorded
    assert RunEnded("ZeroDivisionError") == told[-1]
    assert ("failed", "ZeroDivisionError: float division", 1, False) == (
        outcome.status,
        outcome.sentence,
        outcome.exit_code,
        outcome.resumable,
    )
    assert outcome.traceback is not None
    assert "test_run_loop.py" in outcome.traceback


@pytest.mark.parametrize(
    ("error", "code", "resumable"),
    [(EnvironmentFailed("the disk is full"), 1, True), (ConfigInvalid("no such field"), 2, False)],
)
def test_a_known_error_keeps_its_exit_code_and_needs_no_traceback(
    error: EnvironmentFailed, code: int, resumable: bool
) -> None:
    recorded: list[Outcome] = []

    with pytest.raises(type(error)):
        run_loop(joint(3), (at_epoch(1, error),), "run-1", recorded.append)

    expected = Outcome("failed", type(error).__name__, str(error), code, resumable)
    assert [expected] == recorded


def test_the_trainer_is_closed_however_the_run_ends() -> None:
    for error in (StopTraining("early-stop"), StopNow(signalled(signal.SIGINT))):
        trainer = joint(3)

        followed(trainer, at_epoch(1, error))

        assert trainer.closed


def test_one_who_fails_at_the_end_keeps_nobody_from_being_told() -> None:
    told: list[Event] = []
    recorded: list[Outcome] = []

    def failing(event: Event) -> None:
        if isinstance(event, RunEnded):
            raise EnvironmentFailed("the disk is full")

    with pytest.raises(EnvironmentFailed):
        run_loop(joint(1), (failing, told.append), "run-1", recorded.append)

    assert RunEnded("finished") == told[-1]
    assert ["finished"] == [outcome.reason for outcome in recorded]


def test_the_outcome_is_recorded_after_everybody_was_told() -> None:
    order: list[str] = []

    run_loop(
        joint(1),
        (lambda event: order.append(type(event).__name__),),
        "run-1",
        lambda outcome: order.append(outcome.reason),
    )

    assert ["RunEnded", "finished"] == order[-2:]
