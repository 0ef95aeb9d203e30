"""Workers of one's own whose leases are over: which are ended, and when."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from risexp.hpo.store.leases import LeaseOwner, Leases
from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.study import StudyRef
from risexp.hpo.trials.reaper import StuckWorkers, is_stopped
from tests.support.worker_processes import Clock, owner, until

HOLDS = """
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
        [sys.executable, "-c", HOLDS, store.url.removeprefix("sqlite:///")],
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
    """Leases of some worker, with one that lasts so long."""
    leases, me = Leases(store, study.uid, ttl_s), owner()
    assert leases.take(trial, me, "run") is not None
    return leases, me


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_who_is_stopped_amid_a_write_is_found_though_the_database_is_locked(
    store: StudyStore, study: StudyRef
) -> None:
    leases, me = held(store, study, ttl_s=0.0)

    with stopped_amid_a_write(store) as pid:
        assert [me.id] == StuckWorkers(leases).look({me.id: pid})


def test_who_is_stopped_and_has_its_lease_is_left_alone(store: StudyStore, study: StudyRef) -> None:
    leases, me = held(store, study, ttl_s=60.0)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        process.send_signal(signal.SIGSTOP)
        until(lambda: is_stopped(process.pid))

        assert [] == StuckWorkers(leases, patience_s=0.0).look({me.id: process.pid})

        process.kill()


def test_who_runs_is_given_time_to_renew(store: StudyStore, study: StudyRef) -> None:
    leases, me = held(store, study, ttl_s=0.0)
    time = Clock()
    overdue = StuckWorkers(leases, patience_s=30.0, clock=time)

    found = []
    for seconds in (0.0, 29.0, 1.0):
        time.now += seconds
        found.append(overdue.look({me.id: os.getpid()}))

    assert [[], [], [me.id]] == found


def test_who_has_renewed_meanwhile_is_given_time_anew(store: StudyStore, study: StudyRef) -> None:
    leases, me = held(store, study, ttl_s=0.0)
    time, pids = Clock(), {me.id: os.getpid()}
    overdue = StuckWorkers(leases, patience_s=30.0, clock=time)
    overdue.look(pids)
    (lease,) = (each.lease for each in leases.look().living)

    Leases(store, study.uid, 60.0).renew(lease)
    time.now += 40.0
    between = overdue.look(pids)
    leases.renew(lease)
    time.now += 40.0

    assert ([], []) == (between, overdue.look(pids))


def test_a_lease_that_a_reaper_took_is_over_too(store: StudyStore, study: StudyRef) -> None:
    leases, me = held(store, study, ttl_s=0.0)
    (lease,) = (each.lease for each in leases.look().living)
    leases.bury(lease)

    assert {me.id} == leases.over([me.id])


def test_only_the_last_lease_counts_and_only_one_that_was_lost(
    store: StudyStore, study: StudyRef
) -> None:
    leases, me = held(store, study, ttl_s=0.0)
    another = held(store, study, ttl_s=0.0, trial=2)[1]
    (lease,) = (each.lease for each in leases.look().living if each.lease.owner == another.id)
    leases.end(lease, "released")
    assert Leases(store, study.uid, 60.0).take(3, me, "run") is not None

    assert set() == leases.over([me.id, another.id])


def test_leases_of_others_are_not_looked_at(store: StudyStore, study: StudyRef) -> None:
    leases, _ = held(store, study, ttl_s=0.0)

    assert [] == StuckWorkers(leases, patience_s=0.0).look({owner().id: os.getpid()})


def test_a_process_that_is_gone_is_not_stopped() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()

    assert not is_stopped(process.pid)
    assert not is_stopped(os.getpid())
