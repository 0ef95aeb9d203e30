"""A worker that was stopped for longer than its lease lasts must write nothing more."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.context import ForkServerProcess

import pytest

from risexp.core.failpoint import Point
from risexp.hpo.store.leases import Attempt, Fenced, LeaseOwner, Leases
from risexp.hpo.store.store import StudyStore, open_store
from risexp.hpo.studies.study import StudyRef, find_study, open_study
from risexp.hpo.trials.heartbeat import Heartbeat
from risexp.hpo.trials.reaper import Reaper, is_stopped
from risexp.hpo.trials.snapshot import study_snapshot
from risexp.hpo.trials.trial_result import TrialResult
from tests.support.worker_processes import (
    NAME,
    ON_BOTH,
    STEPS,
    draw,
    exit_codes,
    opened,
    owner,
    plan,
    queue_of,
    score,
    start,
    train,
    until,
    violations,
    work_here,
)

FENCED, NOTHING = 75, 0
POINTS: dict[Point, int] = {
    "claim.leased": NOTHING,
    "claim.running": NOTHING,
    "suggest.drawn": FENCED,
    "suggest.recorded": FENCED,
    "report.renewed": FENCED,
    "report.written": FENCED,
    "finish.renewed": FENCED,
    "finish.noted": NOTHING,
    "release.renewed": FENCED,
}
"""Where it stops, and its exit code: nothing to do if it had not begun or its result is known."""


def work_once(url: str, me: LeaseOwner) -> None:
    """A worker of one trial."""
    store = open_store(url)
    claim = queue_of(store, find_study(store, NAME)).claim(me)
    if claim is not None:
        try:
            train(claim)
        except Fenced:
            sys.exit(FENCED)


def work_and_release(url: str, me: LeaseOwner) -> None:
    """A worker that releases its trial after a signal."""
    store = open_store(url)
    claim = queue_of(store, find_study(store, NAME)).claim(me)
    assert claim is not None
    claim.suggest(draw)
    try:
        claim.release()
    except Fenced:
        sys.exit(FENCED)


def work_with_heartbeat(url: str, me: LeaseOwner, ttl_s: float) -> None:
    """A worker that checks its lease before every step, as training does at every batch."""
    store = open_store(url)
    queue = queue_of(store, find_study(store, NAME), ttl_s)
    claim = queue.claim(me)
    assert claim is not None
    # Rare renewals: the process should not be stopped amid a write, with the database locked.
    with Heartbeat(queue.leases, claim.lease, renew_s=ttl_s / 2.0) as heartbeat:
        drawn = claim.suggest(draw)
        for step in range(1, STEPS + 1):
            try:
                heartbeat.check()
            except Fenced:
                sys.exit(FENCED)
            claim.report(step, score(drawn, step))
        claim.finish(TrialResult("complete", "finished", score(drawn, STEPS)))


def worker_passing(point: Point) -> Callable[[str, LeaseOwner], None]:
    """A worker that passes a point."""
    return work_and_release if point.startswith("release") else work_once


@contextmanager
def stopped(
    url: str, point: Point, *call: object
) -> Iterator[tuple[LeaseOwner, ForkServerProcess]]:
    """A worker that has stopped at a point."""
    me = owner()
    process = start(call[0], url, me, *call[1:], stop=point)  # type: ignore[arg-type]
    try:
        until(lambda: process.pid is not None and is_stopped(process.pid))
        yield me, process
    finally:
        process.kill()


def resume(process: ForkServerProcess) -> int | None:
    """The exit code of a process that continues."""
    assert process.pid is not None
    os.kill(process.pid, signal.SIGCONT)
    return exit_codes(process)[0]


def stored(store: StudyStore, study: StudyRef) -> tuple[object, list[Attempt]]:
    """The stored state of a study."""
    return study_snapshot(store, study), Leases(store, study.uid).attempts()


@pytest.mark.parametrize("point", POINTS)
def test_a_worker_that_continues_after_its_heir_changes_nothing(url: str, point: Point) -> None:
    with opened(url) as store:
        study = open_study(store, plan(1))
        with stopped(url, point, worker_passing(point)) as (me, process):
            Reaper(queue_of(store, study).leases, study).abandon(me.id)
            work_here(store, study)
            before = stored(store, study)

            assert POINTS[point] == resume(process)

        assert before == stored(store, study)
        assert [] == violations(store, study)


@pytest.mark.parametrize("point", POINTS)
def test_a_worker_that_continues_while_its_heir_works_does_no_harm(url: str, point: Point) -> None:
    """Stopped between its check and its write, it still writes what its heir would."""
    with opened(url) as store:
        study = open_study(store, plan(1))
        with stopped(url, point, worker_passing(point)) as (me, process):
            queue = queue_of(store, study)
            Reaper(queue.leases, study).abandon(me.id)
            heir = queue.claim(owner())
            assert heir is not None
            drawn = heir.suggest(draw)
            heir.report(1, score(drawn, 1))

            resume(process)

            if store.storage.get_trial(heir.lease.trial_id).state.is_finished():
                with pytest.raises(Fenced):
                    train(heir)
            else:
                train(heir)
        record = study_snapshot(store, study)
        assert [] == violations(store, study)
        assert score(drawn, STEPS) == record.trials[0].value
        assert set(range(1, STEPS + 1)) == set(record.trials[0].reports)


@ON_BOTH
def test_a_lease_runs_out_while_its_worker_is_stopped(url: str) -> None:
    with opened(url) as store:
        study = open_study(store, plan(1))
        with stopped(url, "report.written", work_with_heartbeat, 2.0) as (_, process):
            reaper = Reaper(queue_of(store, study, ttl_s=2.0).leases, study, patience_s=0.0)
            until(lambda: bool(reaper.look()))
            work_here(store, study)
            before = stored(store, study)

            assert FENCED == resume(process)

        assert before == stored(store, study)
        assert [] == violations(store, study)
