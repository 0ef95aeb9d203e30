import os
import signal
from contextlib import suppress

import pytest

from risexp.callbacks.signals import SignalCallback
from risexp.runs.outcome import Outcome, StopNow
from risexp.training.events import BatchEnded, EpochEnded, Event
from tests.support.recorded_runs import followed, joint


def send_twice(event: Event) -> None:
    if isinstance(event, BatchEnded):
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        pytest.fail("the second signal should have stopped this line from being reached")


def fail_under_a_signal() -> None:
    with SignalCallback(lambda _: None):
        os.kill(os.getpid(), signal.SIGTERM)
        raise ZeroDivisionError


def run_with(number: int, epoch: int, batch: int | None) -> tuple[list[Event], Outcome, list[str]]:
    """What is told, how it ends, and what is said, where a signal comes at that batch.

    Without a batch it comes at the end of the epoch, within the validation.
    """
    told, said = list[Event](), list[str]()

    def send(event: Event) -> None:
        told.append(event)
        match event:
            case BatchEnded(epoch=at, batch=now) if (at, now) == (epoch, batch):
                os.kill(os.getpid(), number)
            case EpochEnded(plan=plan) if (plan.epoch, None) == (epoch, batch):
                os.kill(os.getpid(), number)

    with SignalCallback(said.append) as signals:
        outcome = followed(joint(3), send, signals)
    return told, outcome, said


@pytest.mark.parametrize(("number", "code"), [(signal.SIGUSR1, 75), (signal.SIGINT, 130)])
def test_the_first_signal_ends_the_batch_and_gives_up_the_epoch(number: int, code: int) -> None:
    told, outcome, said = run_with(number, epoch=2, batch=1)

    assert (code, True) == (outcome.exit_code, outcome.resumable)
    assert BatchEnded(2, 1, 4) == told[-2]
    assert [1] == [event.plan.epoch for event in told if isinstance(event, EpochEnded)]
    assert [True] == [line.startswith(signal.Signals(number).name) for line in said]


def test_a_signal_during_a_validation_loses_nothing() -> None:
    told, outcome, _ = run_with(signal.SIGTERM, epoch=2, batch=None)

    assert 75 == outcome.exit_code
    assert [1, 2] == [event.plan.epoch for event in told if isinstance(event, EpochEnded)]


def test_the_second_signal_stops_at_once() -> None:
    with SignalCallback(lambda _: None) as signals:
        outcome = followed(joint(3), send_twice, signals)

    assert (130, True) == (outcome.exit_code, outcome.resumable)
    assert not issubclass(StopNow, Exception)


def test_a_signal_after_the_last_event_goes_to_the_previous_handler() -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
    try:
        with SignalCallback(lambda _: None):
            os.kill(os.getpid(), signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGTERM, before)

    assert [signal.SIGTERM] == heard


def test_a_signal_does_not_replace_an_error() -> None:
    with pytest.raises(ZeroDivisionError):
        fail_under_a_signal()


def test_a_run_passes_its_signal_on_to_the_worker_that_trains_it() -> None:
    with SignalCallback(lambda _: None) as outer:
        with suppress(ZeroDivisionError):
            fail_under_a_signal()

        outcome = outer.outcome()

    assert outcome is not None
    assert 75 == outcome.exit_code
