"""A process that hangs is noticed at the pace of its run, writes its stacks, and ends."""

import ctypes
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from risexp.callbacks import watchdog
from risexp.callbacks.watchdog import HUNG, Silence, Watchdog
from risexp.training.events import BatchEnded, Event, RunEnded, RunStarted
from tests.support.recorded_runs import SCORES, ended_of, joint
from tests.support.worker_processes import until

STARTED = RunStarted("run-1", 3, 0, 4)
BATCH = BatchEnded(1, 0, 4)


def after(events: Sequence[Event], silences: Sequence[float]) -> Silence:
    """A silence in which each event came after so many seconds."""
    silence = Silence()
    for event, seconds in zip(events, silences, strict=True):
        silence.pass_by(seconds)
        silence(event)
        silence.pass_by(0.0)
    return silence


def test_the_limit_follows_the_pace_between_the_first_epoch_and_the_end() -> None:
    epoch = ended_of(joint(1).plans[0], SCORES)

    assert 1800.0 == Silence().limit_s
    assert 1800.0 == after([STARTED, BATCH], [0.0, 9.0]).limit_s
    assert 300.0 == after([STARTED, BATCH, epoch], [2.0, 3.0, 9.0]).limit_s
    assert 800.0 == after([STARTED, BATCH, epoch], [2.0, 40.0, 30.0]).limit_s
    assert 1800.0 == after([epoch, RunEnded("finished")], [1.0, 1.0]).limit_s


def test_silence_grows_until_the_next_event() -> None:
    silence = Silence()
    for _ in range(3):
        silence.pass_by(5.0)
    assert 15.0 == silence.seconds

    silence(BATCH)
    silence.pass_by(5.0)

    assert 0.0 == silence.seconds


def natively(_: Silence) -> None:
    ctypes.CDLL(None).sleep(600)


def in_python(_: Silence) -> None:
    threading.Event().wait()


def holding_the_lock(silence: Silence) -> None:
    while silence.seconds == 0.0:
        time.sleep(0.001)
    ctypes.PyDLL(None).sleep(600)


def begun(
    place: Path,
    hangs: Callable[[Silence], None] = natively,
    limit_s: float = 0.3,
    **actions: Callable[..., object],
) -> int:
    """Begin a process that hangs under a watchdog and writes its stderr to a log; its number."""
    usual = {"write": lambda dump: dump(place / "stacks.txt"), "give_back": (place / "given").touch}
    if (process := os.fork()) != 0:
        return process
    try:
        os.dup2(os.open(place / "log", os.O_WRONLY | os.O_CREAT), 2)
        watchdog._BOUND_S = 0.2  # type: ignore[misc]
        silence = Silence(least_s=limit_s, first_s=limit_s)
        with Watchdog(**{**usual, **actions}, silence=silence, check_s=0.05):  # type: ignore[arg-type]
            hangs(silence)
    finally:
        os._exit(1)


def code_of(process: int) -> int:
    """The exit code of a process, once it has ended."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


@pytest.mark.fault("F24")
@pytest.mark.parametrize("hangs", [natively, in_python])
def test_a_process_that_hangs_ends_itself_and_leaves_its_stacks(
    tmp_path: Path, hangs: Callable[[Silence], None]
) -> None:
    assert HUNG == code_of(begun(tmp_path, hangs))

    assert f"in {hangs.__name__}" in (tmp_path / "stacks.txt").read_text("utf-8")
    assert (tmp_path / "given").exists()
    first, second, *_ = (tmp_path / "log").read_text("utf-8").splitlines()
    assert first.startswith("nothing has happened for ")
    assert f"its stacks are in {tmp_path / 'stacks.txt'}" == second


@pytest.mark.fault("F24")
def test_it_ends_even_if_writing_or_giving_back_fails_or_hangs(tmp_path: Path) -> None:
    def fails(_: object) -> None:
        raise OSError("the disk is full")

    assert HUNG == code_of(begun(tmp_path, give_back=threading.Event().wait))
    assert HUNG == code_of(begun(tmp_path, write=fails))


@pytest.mark.fault("F24")
def test_native_code_that_holds_the_lock_leaves_its_stacks_in_the_log(tmp_path: Path) -> None:
    (tmp_path / "log").touch()
    process = begun(tmp_path, holding_the_lock, limit_s=3.0)
    try:
        until(lambda: "in holding_the_lock" in (tmp_path / "log").read_text("utf-8"))
    finally:
        os.kill(process, signal.SIGKILL)
        code_of(process)

    assert not (tmp_path / "stacks.txt").exists()


def test_time_in_which_the_process_was_stopped_does_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A check that comes an hour late shows that the process was stopped, not that it hung."""
    looks, enough = iter(range(10**6)), threading.Event()
    left: list[int] = []

    def hours() -> float:
        number = next(looks)
        if number == 20:
            enough.set()
        return 3600.0 * number

    monkeypatch.setattr("risexp.callbacks.watchdog.time.monotonic", hours)
    monkeypatch.setattr(os, "_exit", left.append)
    with Watchdog(lambda _: None, lambda: None, Silence(least_s=60.0, first_s=60.0), 0.001):
        assert enough.wait(60.0)

    assert [] == left
