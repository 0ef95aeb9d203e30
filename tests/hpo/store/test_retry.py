import os
import sqlite3

import pytest
from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import (
    DataError,
    IntegrityError,
    OperationalError,
    PendingRollbackError,
    ProgrammingError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from risexp.errors import EnvironmentFailed
from risexp.hpo.store.retry import LASTING, Retry, kind_of


def operational(message: str) -> OperationalError:
    return OperationalError("SELECT 1", {}, sqlite3.OperationalError(message))


def hidden(cause: Exception) -> StorageInternalError:
    """An error as Optuna wraps it."""
    error = StorageInternalError("An exception is raised during the commit.")
    error.__cause__ = cause
    return error


class Clock:
    """Time that passes only during a sleep."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def patient(clock: Clock, limit_s: float = 600.0) -> Retry:
    return Retry("the store", limit_s, clock=clock, sleep=clock.sleep)


class Flaky:
    """Fails some times, then answers."""

    def __init__(self, failures: int, error: Exception) -> None:
        self.calls = 0
        self._failures = failures
        self._error = error

    def __call__(self) -> str:
        self.calls += 1
        if self.calls <= self._failures:
            raise self._error
        return "answer"


def test_errors_that_pass_are_waited_for() -> None:
    cut = ProgrammingError("SELECT 1", {}, sqlite3.ProgrammingError("?"))
    cut.connection_invalidated = True
    for error in (
        operational("database is locked"),
        hidden(operational("database is locked")),
        operational("server closed the connection unexpectedly"),
        PoolTimeoutError("QueuePool limit of size 2 overflow 2 reached"),
        hidden(PendingRollbackError("Can't reconnect until invalid transaction is rolled back.")),
        cut,
    ):
        call, clock = Flaky(5, error), Clock()

        assert "answer" == patient(clock)(call)
        assert (6, 5) == (call.calls, len(clock.slept))


def test_errors_that_last_are_raised_at_once() -> None:
    for words in LASTING:
        call, clock = Flaky(9, operational(f"FATAL: {words.title()} (a)")), Clock()

        with pytest.raises(EnvironmentFailed, match="the store cannot be used: FATAL"):
            patient(clock)(call)

        assert (1, []) == (call.calls, clock.slept)


def test_errors_that_are_not_the_databases_are_passed_on() -> None:
    clash = IntegrityError("INSERT", {}, sqlite3.IntegrityError("UNIQUE constraint failed"))

    with pytest.raises(IntegrityError):
        patient(Clock())(Flaky(1, clash))
    with pytest.raises(ZeroDivisionError):
        patient(Clock())(lambda: 1 // 0)
    assert "other" == kind_of(ZeroDivisionError())


def test_an_error_of_the_database_that_is_not_known_is_the_environments() -> None:
    """A trial that meets it is given back, where an error of another kind would fail it."""
    strange = hidden(DataError("INSERT", {}, sqlite3.DataError("page 7 is never used")))

    with pytest.raises(EnvironmentFailed, match="the store failed: page 7 is never used"):
        patient(Clock())(Flaky(1, strange))


def test_waits_grow_to_seconds_and_the_limit_is_kept() -> None:
    locked = operational("database is locked")
    call, clock, once = Flaky(10**6, locked), Clock(), Flaky(2, locked)

    with pytest.raises(EnvironmentFailed, match=r"has not answered for 600 s .*is locked"):
        patient(clock)(call)
    with pytest.raises(EnvironmentFailed):
        patient(Clock(), limit_s=0.0)(once)

    assert 600.0 <= clock.now < 606.0
    assert max(clock.slept) <= 5.0
    assert clock.slept[0] <= 0.05
    assert 1 == once.calls


def test_a_full_disk_is_waited_for_and_named(caplog: pytest.LogCaptureFixture) -> None:
    for words in ("database or disk is full", "could not extend file: No space left on device"):
        caplog.clear()

        with pytest.raises(EnvironmentFailed, match=r"no room on its disk for 600 s .*make"):
            patient(Clock())(Flaky(10**6, operational(words)))

        said = f"the store has no room on its disk: make some ({words}): trying for 600 s"
        assert [said] == caplog.messages


def test_a_fork_is_refused() -> None:
    retry = Retry("the store", pid=os.getpid() + 1)

    with pytest.raises(EnvironmentFailed, match=r"is a fork: spawn processes"):
        retry(lambda: "answer")


def test_a_long_wait_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    error = operational("database is locked")

    patient(Clock())(Flaky(5, error))
    short = caplog.messages.copy()
    patient(Clock())(Flaky(20, error))

    assert [] == short
    assert ["the store does not answer (database is locked): trying for 600 s"] == caplog.messages
