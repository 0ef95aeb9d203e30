"""Workers in other processes: a toy to train, and points at which they die or stop."""

import multiprocessing
import os
import signal
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.context import ForkServerContext, ForkServerProcess

import pytest
from optuna import Trial
from optuna.pruners import NopPruner
from optuna.samplers import RandomSampler

from risexp.core.failpoint import CRASH_AT, STOP_AT, Point
from risexp.hpo.store.leases import TTL_S, Attempt, Fenced, LeaseOwner, Leases
from risexp.hpo.store.store import StudyStore, open_store
from risexp.hpo.studies.study import StudyRef, find_study, open_study
from risexp.hpo.trials.claim import Claim
from risexp.hpo.trials.invariants import Violation, every
from risexp.hpo.trials.queue import Queue
from risexp.hpo.trials.reaper import Reaper
from risexp.hpo.trials.snapshot import study_snapshot
from risexp.hpo.trials.trial_result import TrialResult

STEPS = 3
"""Steps of the toy."""
NAME = "toy"

ON_BOTH = pytest.mark.parametrize("backend", ["sqlite", "postgresql"], indirect=True)
"""For tests of the databases themselves, which run on PostgreSQL by day too."""
EMBEDDED = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
"""For tests that no server would change."""

# Children come from a clean process that holds no connection: one that is forked would break.
SERVER: ForkServerContext = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(
    [
        __name__,
        "alembic.command",
        "alembic.migration",
        "alembic.script",
        "optuna.storages._rdb.models",
        "psycopg",
        "sqlalchemy.dialects.postgresql.psycopg",
        "sqlalchemy.dialects.sqlite.pysqlite",
    ]
)


class Died(BaseException):
    """A worker of this process came to the point at which it dies."""


class FailPoints:
    """Points at which a worker of this process dies, or stops until it is resumed.

    For a store it is no other than a process that is killed or stopped there: a point lies outside
    every transaction, and what unwinds gives back locks only.
    """

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch
        self._stopped, self._resumed = threading.Event(), threading.Event()
        patch.setattr(os, "kill", self._fire)

    def die_at(self, point: Point) -> None:
        """Raise `Died` at a point."""
        self._patch.setenv(CRASH_AT, point)

    @contextmanager
    def stopped(self, point: Point, work: Callable[[], bool]) -> Iterator[Callable[[], bool]]:
        """Work in a thread that has stopped at a point; what continues it gives its result."""
        self._patch.setenv(STOP_AT, point)
        with ThreadPoolExecutor(1) as pool:
            result = pool.submit(work)
            try:
                assert self._stopped.wait(60.0)

                def resume() -> bool:
                    self._resumed.set()
                    return result.result(60.0)

                yield resume
            finally:
                self._resumed.set()

    def _fire(self, _pid: int, number: int) -> None:
        if number == signal.SIGKILL:
            raise Died
        self._stopped.set()
        self._resumed.wait(60.0)


class Clock:
    """Time that passes only when a test moves `now`."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def toy_study(store: StudyStore, trials: int) -> StudyRef:
    """A study with this number of trials."""
    return open_study(store, NAME, trials, {}, [{"x": 0.5}])


def owner(device: str = "cpu") -> LeaseOwner:
    """A new worker in this process."""
    return LeaseOwner(uuid.uuid4().hex, socket.gethostname(), os.getpid(), device)


def queue_of(store: StudyStore, study: StudyRef, ttl_s: float = TTL_S) -> Queue:
    """A worker's access to a study."""
    return Queue(store, study, RandomSampler(), NopPruner(), ttl_s)


def claimed(queue: Queue) -> Claim:
    """The next trial."""
    claim = queue.claim(owner())
    assert claim is not None
    return claim


def draw(trial: Trial) -> tuple[float, int]:
    """The toy's parameters."""
    return trial.suggest_float("x", 0.0, 1.0), trial.suggest_int("y", 1, 9)


def score(drawn: tuple[float, int], step: int) -> float:
    """The toy's score after a step: a function of its parameters alone."""
    return (drawn[0] + drawn[1]) / step


def train(claim: Claim, pace_s: float = 0.0) -> None:
    """Train a trial from where it stands to its end."""
    drawn = claim.suggest(draw)
    for step in range(1, STEPS + 1):
        if step not in claim.reports:
            time.sleep(pace_s)
        claim.report(step, score(drawn, step))
    claim.finish(TrialResult("complete", "finished", score(drawn, STEPS)))


def work(url: str, me: LeaseOwner, ttl_s: float, pace_s: float) -> None:
    """A worker that works until no trial waits or runs."""
    store = open_store(url)
    queue = queue_of(store, find_study(store, NAME), ttl_s)
    reaper = Reaper(queue.leases, find_study(store, NAME), patience_s=0.0, most_deaths=99)
    while not queue.is_done():
        reaper.look()
        claim = queue.claim(me)
        if claim is None:
            time.sleep(0.02)
            continue
        try:
            train(claim, pace_s)
        except Fenced:
            continue


def work_here(store: StudyStore, study: StudyRef, ttl_s: float = TTL_S) -> None:
    """Train all waiting trials, in this process."""
    queue, me = queue_of(store, study, ttl_s), owner()
    while (claim := queue.claim(me)) is not None:
        train(claim)


def bury_all(store: StudyStore, study: StudyRef) -> None:
    """Requeue the trials of all workers: their processes have ended."""
    queue = queue_of(store, study, ttl_s=0.0)
    reaper = Reaper(queue.leases, study, patience_s=0.0)
    for attempt in queue.leases.look().living:
        reaper.abandon(attempt.lease.owner)
    for _ in range(2):
        reaper.look()


def states(store: StudyStore, study: StudyRef) -> list[str]:
    """The states of a study's trials."""
    return [trial.state for trial in study_snapshot(store, study).trials]


def violations(store: StudyStore, study: StudyRef) -> list[Violation]:
    """The violations of the invariants in a study without workers."""
    return every(study_snapshot(store, study))


def begun(store: StudyStore, study: StudyRef) -> list[Attempt]:
    """All attempts, without those whose trial another worker had finished."""
    attempts = Leases(store, study.uid).attempts()
    return [each for each in attempts if each.ended != "void"]


def start(
    call: Callable[..., object],
    *arguments: object,
    crash: Point | None = None,
    stop: Point | None = None,
) -> ForkServerProcess:
    """Call a function in another process that dies or stops at a point."""
    process = SERVER.Process(target=_armed, args=(crash, stop, call, arguments), daemon=True)
    process.start()
    return process


def _armed(
    crash: Point | None,
    stop: Point | None,
    call: Callable[..., object],
    arguments: tuple[object, ...],
) -> None:
    for variable, point in ((CRASH_AT, crash), (STOP_AT, stop)):
        if point is not None:
            os.environ[variable] = point
    call(*arguments)


def exit_codes(*processes: ForkServerProcess, limit_s: float = 120.0) -> list[int | None]:
    """The exit codes of processes; those still running after the limit are killed."""
    end = time.monotonic() + limit_s
    for process in processes:
        process.join(max(end - time.monotonic(), 0.0))
    codes = [process.exitcode for process in processes]
    for process in processes:
        process.kill()
    return codes


def until(condition: Callable[[], bool], limit_s: float = 120.0) -> None:
    """Wait for a condition that must become true."""
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.005)


@contextmanager
def opened(url: str) -> Iterator[StudyStore]:
    """A store, closed in the end."""
    store = open_store(url)
    try:
        yield store
    finally:
        store.close()
