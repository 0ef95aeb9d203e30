"""A process that hangs is noticed at the pace of its run, writes its stacks, and ends."""

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

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


PROGRAM = """
import ctypes, sys, time
from pathlib import Path
from risexp.callbacks import watchdog
from risexp.callbacks.watchdog import Silence, Watchdog
place = Path(sys.argv[1])
watchdog._BOUND_S = 0.2
def give_back():
    {give_back}
def hangs():
    {hangs}
silence = Silence(least_s={limit}, first_s={limit})
with Watchdog(lambda dump: {write}, give_back, silence, 0.05):
    hangs()
"""
NATIVE = "ctypes.CDLL(None).sleep(600)"
LOCKED = """
    while silence.seconds == 0.0:
        time.sleep(0.001)
    ctypes.PyDLL(None).sleep(600)
"""


def program(place: Path, **parts: str) -> list[str]:
    usual = {
        "give_back": "(place / 'given back').touch()",
        "hangs": NATIVE,
        "limit": "0.3",
        "write": "dump(place / 'stacks.txt')",
    }
    return [sys.executable, "-c", PROGRAM.format(**{**usual, **parts}), str(place)]


def ran(place: Path, **parts: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # noqa: S603 - our own interpreter and our own words
        program(place, **parts), capture_output=True, text=True, timeout=60.0, check=False
    )


@pytest.mark.parametrize("hangs", [NATIVE, "import threading; threading.Event().wait()"])
def test_a_process_that_hangs_ends_itself_and_leaves_its_stacks(tmp_path: Path, hangs: str) -> None:
    done = ran(tmp_path, hangs=hangs)

    assert HUNG == done.returncode
    assert "in hangs" in (tmp_path / "stacks.txt").read_text("utf-8")
    assert (tmp_path / "given back").exists()
    first, second, *_ = done.stderr.splitlines()
    assert first.startswith("nothing has happened for ")
    assert f"its stacks are in {tmp_path / 'stacks.txt'}" == second


@pytest.mark.parametrize(("part", "fault"), [("give_back", "hang"), ("write", "fail")])
def test_it_ends_even_if_writing_or_giving_back_fails_or_hangs(
    tmp_path: Path, part: str, fault: str
) -> None:
    how = NATIVE if fault == "hang" else "1 / 0"

    assert HUNG == ran(tmp_path, **{part: how}).returncode


def test_native_code_that_holds_the_lock_leaves_its_stacks_in_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with (
        log.open("wb") as stream,
        subprocess.Popen(  # noqa: S603 - our own interpreter and words
            program(tmp_path, hangs=LOCKED, limit="3.0"),
            stderr=stream,
        ) as process,
    ):
        try:
            until(lambda: "in hangs" in log.read_text("utf-8"))
        finally:
            process.kill()

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
