import os
import socket
import time
import uuid
from pathlib import Path

import pytest
from optuna.trial import TrialState
from sqlalchemy import update

from risexp.hpo.store.leases import Lease, LeaseOwner, Leases
from risexp.hpo.store.schema import ATTEMPTS
from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.study import StudyRef
from risexp.hpo.trials import reaper
from risexp.hpo.trials.claim import Claim
from risexp.hpo.trials.queue import Queue
from risexp.hpo.trials.reaper import Reaper, note_exit
from tests.support.worker_processes import (
    claimed,
    draw,
    owner,
    states,
    train,
    violations,
    work_here,
)


@pytest.fixture
def claim(queue: Queue) -> Claim:
    """A trial whose worker is about to die."""
    claim = claimed(queue)
    claim.suggest(draw)
    claim.report(1, 0.5)
    return claim


class TimedLeases(Leases):
    """Leases of a database whose clock a test moves."""

    def pass_s(self, seconds: float) -> None:
        self._now = self._now + seconds


@pytest.fixture
def timed(store: StudyStore, study: StudyRef) -> TimedLeases:
    return TimedLeases(store, study.uid)


def expire(leases: Leases) -> None:
    """Let every living lease expire."""
    over = update(ATTEMPTS).where(ATTEMPTS.c.ended.is_(None)).values(expires_at=0.0)
    leases.store.write(lambda connection: connection.execute(over))


def ends(leases: Leases) -> list[str | None]:
    return [attempt.ended for attempt in leases.attempts()]


@pytest.mark.usefixtures("claim")
def test_a_trial_whose_lease_has_expired_waits_again_and_only_once(
    store: StudyStore, study: StudyRef, queue: Queue
) -> None:
    expire(queue.leases)
    reapers = [Reaper(queue.leases, study, patience_s=0.0) for _ in range(2)]

    assert [1, 0] == [reaper.look() for reaper in reapers]

    assert ["waiting"] * 4 == states(store, study)
    assert ["hung"] == ends(queue.leases)
    again = queue.claim(owner())
    assert again is not None
    assert (0, 2, {1: 0.5}) == (again.number, again.attempt, again.reports)
    train(again)
    work_here(store, study)
    assert [] == violations(store, study)


def test_a_trial_whose_worker_died_is_judged_by_its_own_state(
    store: StudyStore, study: StudyRef, queue: Queue, claim: Claim
) -> None:
    """The first was finished already, and the second not running yet."""
    second = store.storage.list_trials(study.id)[1]
    queue.leases.take(second.trial_id, owner(), "toy-001")
    store.storage.set_trial_state_values(claim.lease.trial_id, TrialState.COMPLETE, [0.5])
    expire(queue.leases)

    Reaper(queue.leases, study, patience_s=0.0).look()

    assert ["finished", "hung"] == ends(queue.leases)
    assert "complete" == states(store, study)[0]
    again = queue.claim(owner())
    assert again is not None
    assert (1, 2) == (again.number, again.attempt)


GONE = 2**22 + 1
"""Number that no process has."""


def expired(queue: Queue, study: StudyRef, host: str, pid: int = GONE) -> str | None:
    """How an attempt at the first trial ends whose worker on this host renews no more."""
    trial = queue.leases.store.storage.list_trials(study.id)[0]
    queue.leases.take(trial.trial_id, LeaseOwner(uuid.uuid4().hex, host, pid), "toy-000")
    expire(queue.leases)
    Reaper(queue.leases, study, patience_s=0.0).look()
    return ends(queue.leases)[-1]


def test_a_worker_is_dead_only_if_its_host_lived_on(
    queue: Queue, study: StudyRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = socket.gethostname()

    assert "died" == expired(queue, study, here)
    assert "lost" == expired(queue, study, "another")
    assert "hung" == expired(queue, study, here, os.getpid())  # it runs and renews nothing
    monkeypatch.setattr(reaper, "uptime", lambda: -1.0)  # it has started anew
    assert "lost" == expired(queue, study, here)


def test_a_worker_that_left_while_its_store_was_away_is_excused(
    queue: Queue, study: StudyRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path))
    trial = queue.leases.store.storage.list_trials(study.id)[0]
    left = LeaseOwner(uuid.uuid4().hex, socket.gethostname(), GONE)
    queue.leases.take(trial.trial_id, left, "toy-000")
    note_exit(left.id)
    expire(queue.leases)

    Reaper(queue.leases, study, patience_s=0.0).look()

    assert ["lost"] == ends(queue.leases)
    assert [] == [*(tmp_path / "mlruns" / "left").iterdir()]  # the study knows it now


def test_notes_of_exits_that_no_study_asks_for_do_not_pile_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path))
    note_exit("first")
    old = tmp_path / "mlruns" / "left" / "first"
    os.utime(old, (0.0, time.time() - 31 * 86_400.0))

    note_exit("second")

    assert ["second"] == [path.name for path in old.parent.iterdir()]


def test_a_trial_that_kills_three_workers_fails_and_lost_machines_do_not_count(
    store: StudyStore, queue: Queue, study: StudyRef
) -> None:
    here = socket.gethostname()
    for _ in range(5):
        expired(queue, study, "another")
    for _ in range(2):
        expired(queue, study, here)
    assert "waiting" == states(store, study)[0]

    expired(queue, study, here)

    assert "failed" == states(store, study)[0]


def test_a_trial_whose_attempts_are_lost_on_three_hosts_fails(
    store: StudyStore, queue: Queue, study: StudyRef
) -> None:
    for host in ("a", "b", "a", "b", "a"):
        assert "lost" == expired(queue, study, host)
    assert "waiting" == states(store, study)[0]

    expired(queue, study, "c")

    assert "failed" == states(store, study)[0]


def test_a_worker_that_was_seen_to_end_loses_its_trial_at_once(
    store: StudyStore, queue: Queue, study: StudyRef, claim: Claim
) -> None:
    other = queue.claim(owner())
    assert other is not None

    Reaper(queue.leases, study).abandon(claim.lease.owner)

    assert ["waiting", "running", "waiting", "waiting"] == states(store, study)
    assert [other.lease] == [attempt.lease for attempt in queue.leases.look().living]


def looks(reaper: Reaper, timed: TimedLeases, *waits_s: float) -> list[int]:
    """The numbers of trials requeued by looks, each after its wait."""
    requeued = []
    for wait_s in waits_s:
        timed.pass_s(wait_s)
        requeued.append(reaper.look())
    return requeued


def first_lease(leases: Leases, study: StudyRef) -> Lease:
    trial = leases.store.storage.list_trials(study.id)[0]
    lease = leases.take(trial.trial_id, owner(), "toy-000")
    assert lease is not None
    return lease


def test_owners_have_time_to_renew_after_an_outage(timed: TimedLeases, study: StudyRef) -> None:
    """All leases have expired when the database is back: the first reaper must not take them."""
    reaper = Reaper(timed, study, patience_s=10.0)
    lease = first_lease(timed, study)

    assert [0, 0, 0] == looks(reaper, timed, 0.0, 100.0, 5.0)
    timed.renew(lease)

    assert [0, 0] == looks(reaper, timed, 2.0, 10.0)
    assert [lease] == [attempt.lease for attempt in timed.look().living]


def test_a_watched_lease_is_taken_as_it_expires_and_an_unwatched_one_after_the_patience(
    timed: TimedLeases, study: StudyRef
) -> None:
    reaper = Reaper(timed, study, patience_s=10.0)
    first_lease(timed, study)
    assert [0, 0, 0, 0, 1] == looks(reaper, timed, 0.0, 20.0, 20.0, 14.0, 11.0)

    first_lease(timed, study)
    timed.pass_s(500.0)
    reaper = Reaper(timed, study, patience_s=10.0)
    assert [0, 0, 0, 1] == looks(reaper, timed, 0.0, 2.0, 3.0, 8.0)


@pytest.mark.fault("F23")
def test_neither_a_clock_that_jumps_nor_a_lease_that_is_renewed_costs_a_trial(
    timed: TimedLeases, study: StudyRef
) -> None:
    reaper = Reaper(timed, study, patience_s=10.0)
    lease = first_lease(timed, study)

    assert [0] * 6 == looks(reaper, timed, 0.0, 11.0, 90.0, -95.0, 1000.0, 5.0)
    for _ in range(10):
        timed.renew(lease)
        assert [0, 0] == looks(reaper, timed, 5.0, 5.0)


def test_a_trial_that_runs_without_a_lease_is_requeued_after_the_time_of_two_leases(
    timed: TimedLeases, study: StudyRef
) -> None:
    """Another tool has set it running."""
    storage = timed.store.storage
    first = storage.list_trials(study.id)[0]
    storage.set_trial_state_values(first.trial_id, TrialState.RUNNING)
    reaper = Reaper(timed, study, patience_s=10.0)

    assert [0, 0, 0, 0, 0, 1] == looks(reaper, timed, 0.0, 25.0, 25.0, 25.0, 25.0, 25.0)

    assert ["nobody"] == [attempt.lease.owner for attempt in timed.attempts(first.trial_id)]
    assert "waiting" == states(timed.store, study)[0]


def test_a_trial_whose_attempt_a_dead_reaper_ended_is_requeued(
    timed: TimedLeases, study: StudyRef, claim: Claim
) -> None:
    timed.end(claim.lease, "died")

    assert [0, 1] == looks(Reaper(timed, study), timed, 0.0, 61.0)

    assert "waiting" == states(timed.store, study)[0]
