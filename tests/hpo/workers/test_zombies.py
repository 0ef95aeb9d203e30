"""A worker is stopped for longer than its lease lasts, and goes on: it must write nothing more."""

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
from risexp.hpo.trials.reaper import Reaper
from risexp.hpo.trials.snapshot import study_snapshot
from risexp.hpo.trials.trial_result import TrialResult
from tests.support.worker_processes import (
    NAME,
    ON_BOTH,
    STEPS,
    draw,
    exit_codes,
    is_stopped,
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
"""Where it stops, and how it ends: with nothing to do where it had not begun, or where what it
would tell is told already."""


def haunt(url: str, me: LeaseOwner) -> None:
    """A worker of one trial."""
    store = open_store(url)
    claim = queue_of(store, find_study(store, NAME)).claim(me)
    if claim is not None:
        try:
            train(claim)
        except Fenced:
            sys.exit(FENCED)


def haunt_releasing(url: str, me: LeaseOwner) -> None:
    """A worker whom a signal asks to give its trial back."""
    store = open_store(url)
    claim = queue_of(store, find_study(store, NAME)).claim(me)
    assert claim is not None
    claim.suggest(draw)
    try:
        claim.release()
    except Fenced:
        sys.exit(FENCED)


def haunt_kept(url: str, me: LeaseOwner, ttl_s: float) -> None:
    """A worker that asks its keeper before each step, as a training does at each batch."""
    store = open_store(url)
    queue = queue_of(store, find_study(store, NAME), ttl_s)
    claim = queue.claim(me)
    assert claim is not None
    # Not so often that the keeper is likely to be stopped amid a write, with the database's lock.
    with Heartbeat(queue.leases, claim.lease, renew_s=ttl_s / 2.0) as keeper:
        drawn = claim.suggest(draw)
        for step in range(1, STEPS + 1):
            try:
                keeper.check()
            except Fenced:
                sys.exit(FENCED)
            claim.report(step, score(drawn, step))
        claim.finish(TrialResult("complete", "finished", score(drawn, STEPS)))


def haunting(point: Point) -> Callable[[str, LeaseOwner], None]:
    """A worker that passes that point."""
    return haunt_releasing if point.startswith("release") else haunt


@contextmanager
def stopped(
    url: str, point: Point, *call: object
) -> Iterator[tuple[LeaseOwner, ForkServerProcess]]:
    """A worker that has stopped at a point."""
    me = owner()
    process = start(call[0], url, me, *call[1:], stop=point)  # type: ignore[arg-type]
    try:
        until(lambda: is_stopped(process))
        yield me, process
    finally:
        process.kill()


def goes_on(process: ForkServerProcess) -> int | None:
    """How it ends once it goes on."""
    assert process.pid is not None
    os.kill(process.pid, signal.SIGCONT)
    return exit_codes(process)[0]


def told(store: StudyStore, study: StudyRef) -> tuple[object, list[Attempt]]:
    """All that is stored of a study."""
    return study_snapshot(store, study), Leases(store, study.uid).attempts()


@pytest.mark.parametrize("point", POINTS)
def test_whoever_goes_on_after_its_heir_is_done_changes_nothing(url: str, point: Point) -> None:
    with opened(url) as store:
        study = open_study(store, plan(1))
        with stopped(url, point, haunting(point)) as (me, process):
            Reaper(queue_of(store, study).leases, study).abandon(me.id)
            work_here(store, study)
            before = told(store, study)

            assert POINTS[point] == goes_on(process)

        assert before == told(store, study)
        assert [] == violations(store, study)


@pytest.mark.parametrize("point", POINTS)
def test_whoever_goes_on_while_its_heir_works_does_no_harm(url: str, point: Point) -> None:
    """One that stopped between its check and its write still writes what its heir would."""
    with opened(url) as store:
        study = open_study(store, plan(1))
        with stopped(url, point, haunting(point)) as (me, process):
            queue = queue_of(store, study)
            Reaper(queue.leases, study).abandon(me.id)
            heir = queue.claim(owner())
            assert heir is not None
            drawn = heir.suggest(draw)
            heir.report(1, score(drawn, 1))

            goes_on(process)

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
        with stopped(url, "report.written", haunt_kept, 2.0) as (_, process):
            reaper = Reaper(queue_of(store, study, ttl_s=2.0).leases, study, patience_s=0.0)
            until(lambda: bool(reaper.look()))
            work_here(store, study)
            before = told(store, study)

            assert FENCED == goes_on(process)

        assert before == told(store, study)
        assert [] == violations(store, study)
