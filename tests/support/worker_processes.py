"""Workers of a search as other processes run them: a toy to train, and faults to die of."""

import multiprocessing
import os
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

import pytest
from optuna import Trial
from optuna.pruners import NopPruner
from optuna.samplers import RandomSampler

from risexp.core.failpoint import CRASH_AT, STOP_AT, Point
from risexp.hpo.store.leases import TTL_S, Attempt, Fenced, LeaseOwner, Leases
from risexp.hpo.store.store import StudyStore, open_store
from risexp.hpo.studies.study import StudyPlan, StudyRef, find_study
from risexp.hpo.trials.claim import Claim
from risexp.hpo.trials.invariants import Violation, every
from risexp.hpo.trials.queue import Queue
from risexp.hpo.trials.reaper import Reaper
from risexp.hpo.trials.snapshot import study_snapshot
from risexp.hpo.trials.trial_result import TrialResult

STEPS = 5
"""Of the toy."""
NAME = "toy"

ON_BOTH = pytest.mark.parametrize("backend", ["sqlite", "postgresql"], indirect=True)
"""For a test that says something of the databases themselves."""

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


class Clock:
    """Time that passes only when a test moves `now`."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def plan(trials: int, **facts: object) -> StudyPlan:
    """A study of so many trials."""
    return StudyPlan(NAME, trials, facts, [{"x": 0.5}])


def owner(device: str = "cpu") -> LeaseOwner:
    """A worker in this process that no other one is."""
    return LeaseOwner(uuid.uuid4().hex, socket.gethostname(), os.getpid(), device)


def queue_of(store: StudyStore, study: StudyRef, ttl_s: float = TTL_S) -> Queue:
    """A worker's view of a study."""
    return Queue(store, study, RandomSampler(), NopPruner(), ttl_s)


def draw(trial: Trial) -> tuple[float, int]:
    """The toy's parameters."""
    return trial.suggest_float("x", 0.0, 1.0), trial.suggest_int("y", 1, 9)


def score(drawn: tuple[float, int], step: int) -> float:
    """The toy's score after a step: a function of its parameters alone."""
    return (drawn[0] + drawn[1]) / step


def train(claim: Claim, pace_s: float = 0.0) -> None:
    """Go on where the trial stands, to its end."""
    drawn = claim.suggest(draw)
    for step in range(1, STEPS + 1):
        if step not in claim.reports:
            time.sleep(pace_s)
        claim.report(step, score(drawn, step))
    claim.finish(TrialResult("complete", "finished", score(drawn, STEPS)))


def work(url: str, me: LeaseOwner, ttl_s: float, pace_s: float) -> None:
    """A worker: until nothing is left to be done, by itself or by those that may die."""
    store = open_store(url)
    queue = queue_of(store, find_study(store, NAME), ttl_s)
    reaper = Reaper(queue.leases, find_study(store, NAME), patience_s=0.0, most_deaths=99)
    while not queue.standing().over:
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
    """Train whatever waits, in this process."""
    queue, me = queue_of(store, study, ttl_s), owner()
    while (claim := queue.claim(me)) is not None:
        train(claim)


def bury_all(store: StudyStore, study: StudyRef) -> None:
    """Give back whatever anybody held: a supervisor saw them end, and a lease's time is over."""
    queue = queue_of(store, study, ttl_s=0.0)
    reaper = Reaper(queue.leases, study, patience_s=0.0)
    for attempt in queue.leases.look().living:
        reaper.abandon(attempt.lease.owner)
    for _ in range(2):
        reaper.look()


def violations(store: StudyStore, study: StudyRef) -> list[Violation]:
    """What is wrong with a study nobody works on any more."""
    return every(study_snapshot(store, study))


def begun(store: StudyStore, study: StudyRef) -> list[Attempt]:
    """All attempts, but for those that found their trial finished by another one."""
    attempts = Leases(store, study.uid).attempts()
    return [each for each in attempts if each.ended != "void"]


def start(
    call: Callable[..., object],
    *arguments: object,
    crash: Point | None = None,
    stop: Point | None = None,
) -> ForkServerProcess:
    """Call something in a process of its own, armed to die or to stop at a point."""
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


def exit_codes(*processes: ForkServerProcess, limit_s: float = 60.0) -> list[int | None]:
    """How processes ended; those that have not by then are killed."""
    end = time.monotonic() + limit_s
    for process in processes:
        process.join(max(end - time.monotonic(), 0.0))
    codes = [process.exitcode for process in processes]
    for process in processes:
        process.kill()
    return codes


def until(condition: Callable[[], bool], limit_s: float = 30.0) -> None:
    """Wait for something that has to happen."""
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.005)


def is_stopped(process: ForkServerProcess) -> bool:
    """Whether the system has stopped a process."""
    stat = Path(f"/proc/{process.pid}/stat").read_text(encoding="ascii")
    return stat.rpartition(")")[2].split()[0] == "T"


@contextmanager
def opened(url: str) -> Iterator[StudyStore]:
    """A store, closed in the end."""
    store = open_store(url)
    try:
        yield store
    finally:
        store.close()
