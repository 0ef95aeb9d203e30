"""Work waits for a database that is locked or away, and continues."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from threading import current_thread, main_thread

import pytest
from sqlalchemy import Connection, event

from risexp.hpo.store.leases import TTL_S, Leases
from risexp.hpo.store.retry import Retry
from risexp.hpo.store.store import StudyStore, open_store
from risexp.hpo.trials.claim import Claim
from risexp.hpo.trials.heartbeat import Heartbeat
from risexp.hpo.trials.reaper import Reaper
from risexp.space.study_spec import StudySpec
from tests.support.postgres import Server
from tests.support.searches import tiny
from tests.support.toy_workers import attempts, report_epochs, searched
from tests.support.toy_workers import work as work_with
from tests.support.worker_processes import (
    begun,
    claimed,
    exit_codes,
    opened,
    owner,
    queue_of,
    start,
    states,
    toy_study,
    train,
    until,
    violations,
    work,
    work_here,
)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Lock a database as another process that writes."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        try:
            yield
        finally:
            connection.execute("ROLLBACK")


class Waits:
    """Sleeps; after some times it says that the lock can be released."""

    def __init__(self, times: int) -> None:
        self.count = 0
        self.over = threading.Event()
        self._times = times

    def __call__(self, seconds: float) -> None:
        self.count += 1
        if self.count == self._times:
            self.over.set()
        time.sleep(min(seconds, 0.01))


def impatient(path: Path, waits: Waits) -> StudyStore:
    """A store whose statements do not wait for a lock themselves."""
    return open_store(f"sqlite:///{path}", retry=Retry("", sleep=waits), busy_s=0.001)


def lock_until_waited(path: Path, waits: Waits) -> threading.Thread:
    """Lock a database until a store has waited often enough."""
    has = threading.Event()

    def hold() -> None:
        with locked(path):
            has.set()
            waits.over.wait(60.0)

    thread = threading.Thread(target=hold)
    thread.start()
    assert has.wait(60.0)
    return thread


@pytest.mark.fault("F6")
def test_a_locked_database_is_waited_for_at_every_step(tmp_path: Path) -> None:
    path = tmp_path / "optuna.db"
    waits = Waits(times=6)
    store = impatient(path, waits)
    study = toy_study(store, 2)
    queue = queue_of(store, study)
    claim: Claim | None = None
    for step in ("claim", "train", "claim", "release", "look"):
        waits.count = 0
        waits.over.clear()
        holder = lock_until_waited(path, waits)
        match step:
            case "claim":
                claim = claimed(queue)
            case "train":
                assert claim is not None
                train(claim)
            case "release":
                assert claim is not None
                claim.release()
            case _:
                assert 0 == Reaper(queue.leases, study).look()
        holder.join()
        assert waits.count >= 6, step
    work_here(store, study)

    assert [] == violations(store, study)
    store.close()


@pytest.mark.fault("F6")
def test_a_lock_for_longer_than_a_lease_takes_no_trial_away(tmp_path: Path) -> None:
    """Neither owner nor reaper can write; once they can, the owner comes first."""
    path = tmp_path / "optuna.db"
    store = impatient(path, Waits(times=10**9))
    study = toy_study(store, 1)
    queue = queue_of(store, study, ttl_s=0.2)
    claim = claimed(queue)
    reaper = Reaper(queue.leases, study, patience_s=0.2)
    reaper.look()
    with Heartbeat(queue.leases, claim.lease, renew_s=0.05) as heartbeat:
        with locked(path):
            until(lambda: time.time() > queue.leases.attempts()[0].expires_at + 0.2)
        assert 0 == reaper.look()
        until(lambda: renewed(queue.leases))
        assert 0 == reaper.look()
        heartbeat.check()
        train(claim)

    assert [] == violations(store, study)
    assert 1 == len(queue.leases.attempts())
    store.close()


def renewed(leases: Leases) -> bool:
    look = leases.look()
    return look.living[0].expires_at > look.now


def restart(server: Server) -> None:
    """As after a power cut."""
    server.control("-m", "immediate", "stop")
    server.start()


@pytest.mark.fault("F5")
def test_a_server_that_restarts_costs_no_trial(server: Server) -> None:
    url = server.create("outage")
    store = open_store(url)
    study = toy_study(store, 12)
    workers = [start(work, url, owner(), TTL_S, 0.02) for _ in range(3)]
    until(lambda: states(store, study).count("complete") >= 2)

    restart(server)

    assert [0] * 3 == exit_codes(*workers, limit_s=100.0)
    assert [] == violations(store, study)
    assert 12 == len(begun(store, study))
    store.close()


def close(server: Server, connection: Connection) -> None:
    """Let the server close a connection."""
    driver = connection.connection.dbapi_connection
    number = driver.info.backend_pid  # type: ignore[union-attr]
    server.execute("postgres", f"SELECT pg_terminate_backend({number})")


@pytest.mark.fault("F5")
def test_a_connection_that_is_lost_while_trials_are_read_is_replaced(server: Server) -> None:
    """Optuna then reads on in a session that is broken, and raises an error of its own."""
    url, cut = server.create("cut"), list[int]()
    with opened(url) as made:
        study = toy_study(made, 20)
    store = open_store(url)

    def cut_once(connection: Connection, _cursor: object, statement: str, *_: object) -> None:
        if "FROM trial_user_attributes" in statement and not cut:
            cut.append(1)
            close(server, connection)

    event.listen(store.engine, "before_cursor_execute", cut_once)
    trials = store.storage.get_all_trials(study.id)

    assert 1 == len(cut)
    assert 20 == len(trials)
    store.close()


@pytest.mark.slow
@pytest.mark.fault("F5")
def test_a_worker_whose_connection_is_closed_again_and_again_fails_no_trial(
    server: Server, record_property: Callable[[str, object], None]
) -> None:
    """A trial takes about 130 statements, so each of them meets it in some of the trials."""
    cuts = count(1)
    with opened(server.create("closed")) as store:
        study = searched(store, 6, StudySpec.of(tiny()))

        def cut(connection: Connection, _cursor: object, _statement: str, *_: object) -> None:
            if current_thread() is main_thread() and next(cuts) % 17 == 0:
                close(server, connection)

        event.listen(store.engine, "before_cursor_execute", cut)
        code, _ = work_with(store, study, report_epochs)
        event.remove(store.engine, "before_cursor_execute", cut)

        assert 0 == code
        assert ["complete"] * 6 == states(store, study)
        assert {"finished"} == {each.ended for each in attempts(store, study)}
        assert [] == violations(store, study)
    record_property("injected", next(cuts) // 17 - 1)
