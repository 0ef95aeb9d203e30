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
    """A callback that raises once an epoch has ended."""

    def callback(event: Event) -> None:
        if isinstance(event, EpochEnded) and event.plan.epoch == epoch:
            raise error

    return callback


def test_all_callbacks_receive_all_events_in_order() -> None:
    told: list[tuple[str, str]] = []

    def listener(name: str) -> Raise:
        return lambda event: told.append((name, type(event).__name__))

    followed(joint(1), listener("first"), listener("second"))

    kinds = [RunStarted, EpochStarted, *[BatchEnded] * 4, EpochEnded, RunEnded]
    expected = [(name, kind.__name__) for kind in kinds for name in ("first", "second")]
    assert expected == told


def test_the_outcome_says_how_a_run_ended() -> None:
    fault = TrainingAborted("epoch 2: nothing moved; look at the rate", guard="moved")
    prune = EndRun(pruned("k_loc 5 at epoch 2"))

    assert Outcome("complete", "finished", "the run ended after epoch 3: finished", 0) == followed(
        joint(3)
    )
    assert Outcome("aborted", "moved", "epoch 2: nothing moved; look at the rate", 4) == followed(
        joint(3), at_epoch(2, fault)
    )
    assert Outcome("pruned", "pruned", "k_loc 5 at epoch 2", 0) == followed(
        joint(3), at_epoch(2, prune)
    )


def test_a_resumed_run_starts_with_its_finished_epochs() -> None:
    trainer = joint(3)
    trainer.progress = Progress(epoch=2, step=8, phase="joint")
    told: list[Event] = []

    followed(trainer, told.append)

    assert started_of(joint(3)) != told[0]
    assert RunStarted("run-1", epochs=3, done=2, batches=4) == told[0]
    assert 1 == sum(isinstance(event, EpochEnded) for event in told)


def test_a_stop_completes_a_run_unless_it_comes_after_the_last_epoch() -> None:
    outcome = followed(joint(3), at_epoch(2, StopTraining("early-stop")))

    assert ("complete", "early-stop", 0, False) == (
        outcome.status,
        outcome.reason,
        outcome.exit_code,
        outcome.resumable,
    )
    assert "finished" == followed(joint(3), at_epoch(3, StopTraining("early-stop"))).reason


def test_a_signal_leaves_a_run_that_can_go_on_and_a_closed_trainer() -> None:
    for number, status, code in (
        (signal.SIGTERM, "released", 75),
        (signal.SIGINT, "interrupted", 130),
    ):
        trainers = joint(3), joint(3)
        gentle = followed(trainers[0], at_epoch(2, EndRun(signalled(number))))
        at_once = followed(trainers[1], at_epoch(2, StopNow(signalled(number))))

        assert [True, True] == [trainer.closed for trainer in trainers]
        assert gentle == at_once
        assert (status, "interrupted") == (gentle.status, gentle.reason)
        assert (code, True) == (gentle.exit_code, gentle.resumable)
    assert 130 == followed(joint(3), at_epoch(2, KeyboardInterrupt())).exit_code


def test_an_unexpected_error_is_raised_after_all_callbacks_and_the_record() -> None:
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


def test_a_known_error_keeps_its_exit_code_and_needs_no_traceback() -> None:
    disk, config = EnvironmentFailed("the disk is full"), ConfigInvalid("no such field")
    for error, code, resumable in ((disk, 1, True), (config, 2, False)):
        recorded: list[Outcome] = []

        with pytest.raises(type(error)):
            run_loop(joint(3), (at_epoch(1, error),), "run-1", recorded.append)

        expected = Outcome("failed", type(error).__name__, str(error), code, resumable)
        assert [expected] == recorded


def test_a_callback_that_fails_at_the_end_keeps_no_other_from_its_event_and_no_outcome() -> None:
    calls: list[Event | str] = []

    def failing(event: Event) -> None:
        if isinstance(event, RunEnded):
            raise EnvironmentFailed("the disk is full")

    with pytest.raises(EnvironmentFailed):
        run_loop(joint(1), (failing, calls.append), "run-1", lambda end: calls.append(end.reason))

    assert [RunEnded("finished"), "finished"] == calls[-2:]
