"""Local workers that have lost their lease: which of them are killed, and when."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from risexp.hpo.store.leases import LeaseOwner, Leases
from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.study import StudyRef
from risexp.hpo.trials.reaper import StuckWorkers, is_stopped
from tests.support.worker_processes import EMBEDDED, Clock, owner, until

LOCK_AND_STOP = """
import os, signal, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
connection.execute("UPDATE risexp_store SET touched_at = touched_at")
print("here", flush=True)
os.kill(os.getpid(), signal.SIGSTOP)
"""


@contextmanager
def stopped_amid_a_write(store: StudyStore) -> Iterator[int]:
    """A process that the system stopped amid a write to an embedded database."""
    with subprocess.Popen(  # noqa: S603 - our own interpreter and our own words
        [sys.executable, "-c", LOCK_AND_STOP, store.url.removeprefix("sqlite:///")],
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        until(lambda: is_stopped(process.pid))
        try:
            yield process.pid
        finally:
            process.kill()


def held(
    store: StudyStore, study: StudyRef, ttl_s: float, *, trial: int = 1
) -> tuple[Leases, LeaseOwner]:
    """Leases of a worker that holds one for this time."""
    leases, me = Leases(store, study.uid, ttl_s), owner()
    assert leases.take(trial, me, "run") is not None
    return leases, me


@EMBEDDED
def test_a_worker_stopped_amid_a_write_is_found_though_the_database_is_locked(
    store: StudyStore, study: StudyRef
) -> None:
    leases, me = held(store, study, ttl_s=0.0)

    with stopped_amid_a_write(store) as pid:
        assert [me.id] == StuckWorkers(leases).look({me.id: pid})


def test_a_stopped_worker_with_a_living_lease_is_left_alone(
    store: StudyStore, study: StudyRef
) -> None:
    leases, me = held(store, study, ttl_s=60.0)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        process.send_signal(signal.SIGSTOP)
        until(lambda: is_stopped(process.pid))

        assert [] == StuckWorkers(leases, patience_s=0.0).look({me.id: process.pid})

        process.kill()


def test_a_running_worker_has_time_to_renew_its_lease_and_again_after_a_renewal(
    store: StudyStore, study: StudyRef
) -> None:
    leases, me = held(store, study, ttl_s=0.0)
    clock, pids = Clock(), {me.id: os.getpid()}
    stuck = StuckWorkers(leases, patience_s=30.0, clock=clock)

    def look_after(seconds: float) -> list[str]:
        clock.now += seconds
        return stuck.look(pids)

    assert [[], [], [me.id]] == [look_after(seconds) for seconds in (0.0, 29.0, 1.0)]
    (lease,) = (attempt.lease for attempt in leases.look().living)
    Leases(store, study.uid, 60.0).renew(lease)
    assert [] == look_after(40.0)
    leases.renew(lease)
    assert [] == look_after(40.0)


def test_only_the_last_lease_of_a_worker_counts_if_it_was_lost(
    store: StudyStore, study: StudyRef
) -> None:
    leases, me = held(store, study, ttl_s=0.0)
    another = held(store, study, ttl_s=0.0, trial=2)[1]
    mine, other = sorted(
        (attempt.lease for attempt in leases.look().living), key=lambda lease: lease.trial_id
    )
    leases.bury(mine)
    assert {me.id, another.id} == leases.over([me.id, another.id])
    leases.end(other, "released")
    assert {me.id} == leases.over([me.id, another.id])

    assert Leases(store, study.uid, 60.0).take(3, me, "run") is not None

    assert set() == leases.over([me.id, another.id])
    assert [] == StuckWorkers(leases, patience_s=0.0).look({owner().id: os.getpid()})


def test_a_process_that_has_ended_is_not_stopped() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()

    assert not is_stopped(process.pid)
    assert not is_stopped(os.getpid())
