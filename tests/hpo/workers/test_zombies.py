"""A worker that was stopped for longer than its lease lasts must write nothing more."""

import os
import signal
import sys
from collections.abc import Callable

import pytest

from risexp.core.failpoint import Point
from risexp.hpo.store.leases import TTL_S, Attempt, Fenced, LeaseOwner, Leases
from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.study import StudyRef, find_study
from risexp.hpo.trials.reaper import Reaper, is_stopped
from risexp.hpo.trials.snapshot import study_snapshot
from tests.support.worker_processes import (
    NAME,
    ON_BOTH,
    STEPS,
    FailPoints,
    claimed,
    draw,
    exit_codes,
    opened,
    owner,
    queue_of,
    score,
    start,
    toy_study,
    train,
    until,
    violations,
    work_here,
)

POINTS: dict[Point, bool] = {
    "claim.leased": False,
    "claim.running": False,
    "suggest.drawn": True,
    "suggest.recorded": True,
    "report.renewed": True,
    "report.written": True,
    "finish.renewed": True,
    "finish.noted": False,
    "release.renewed": True,
}
"""Where it stops, and whether it is then fenced: not if it had not begun or its result is known."""
FENCED = Fenced.exit_code


def worker_of(
    store: StudyStore, study: StudyRef, me: LeaseOwner, point: Point, ttl_s: float = TTL_S
) -> Callable[[], bool]:
    """A worker of one trial that passes a point; whether it is fenced."""

    def work() -> bool:
        try:
            claim = queue_of(store, study, ttl_s).claim(me)
            if claim is not None and point == "release.renewed":
                claim.suggest(draw)
                claim.release()
            elif claim is not None:
                train(claim)
        except Fenced:
            return True
        return False

    return work


def work_once(url: str, me: LeaseOwner, ttl_s: float) -> None:
    """A process of one trial."""
    with opened(url) as store:
        study = find_study(store, NAME)
        sys.exit(FENCED if worker_of(store, study, me, "report.written", ttl_s)() else 0)


def stored(store: StudyStore, study: StudyRef) -> tuple[object, list[Attempt]]:
    """The stored state of a study."""
    return study_snapshot(store, study), Leases(store, study.uid).attempts()


@pytest.mark.fault("F4")
@pytest.mark.parametrize("point", POINTS)
def test_a_worker_that_continues_after_its_heir_changes_nothing(
    url: str, point: Point, fail_points: FailPoints
) -> None:
    with opened(url) as store, opened(url) as other:
        study, me = toy_study(store, 1), owner()
        with fail_points.stopped(point, worker_of(other, study, me, point)) as resume:
            Reaper(queue_of(store, study).leases, study).abandon(me.id)
            work_here(store, study)
            before = stored(store, study)

            assert POINTS[point] == resume()

        assert before == stored(store, study)
        assert [] == violations(store, study)


@pytest.mark.fault("F4")
@pytest.mark.parametrize("point", POINTS)
def test_a_worker_that_continues_while_its_heir_works_does_no_harm(
    url: str, point: Point, fail_points: FailPoints
) -> None:
    """Stopped between its check and its write, it still writes what its heir would."""
    with opened(url) as store, opened(url) as other:
        study, me = toy_study(store, 1), owner()
        with fail_points.stopped(point, worker_of(other, study, me, point)) as resume:
            queue = queue_of(store, study)
            Reaper(queue.leases, study).abandon(me.id)
            heir = claimed(queue)
            drawn = heir.suggest(draw)
            heir.report(1, score(drawn, 1))

            resume()

            if store.storage.get_trial(heir.lease.trial_id).state.is_finished():
                with pytest.raises(Fenced):
                    train(heir)
            else:
                train(heir)
        record = study_snapshot(store, study)
        assert [] == violations(store, study)
        assert score(drawn, STEPS) == record.trials[0].value
        assert set(range(1, STEPS + 1)) == set(record.trials[0].reports)


@pytest.mark.fault("F4")
@ON_BOTH
def test_a_lease_runs_out_while_its_process_is_stopped(url: str) -> None:
    with opened(url) as store:
        study = toy_study(store, 1)
        process = start(work_once, url, owner(), 1.0, stop="report.written")
        pid = process.pid
        assert pid is not None
        try:
            until(lambda: is_stopped(pid))
            reaper = Reaper(queue_of(store, study, ttl_s=1.0).leases, study, patience_s=0.0)
            until(lambda: bool(reaper.look()))
            work_here(store, study)
            before = stored(store, study)

            os.kill(pid, signal.SIGCONT)

            assert [FENCED] == exit_codes(process)
        finally:
            process.kill()
        assert before == stored(store, study)
        assert [] == violations(store, study)
