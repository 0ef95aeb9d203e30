import sys
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import inspect, update

from risexp.errors import EnvironmentFailed, InvalidInput
from risexp.hpo.store.address import address_of
from risexp.hpo.store.retry import Retry
from risexp.hpo.store.schema import METADATA, ONE_LIVING, STAMP
from risexp.hpo.store.store import StudyStore, find_store, open_store
from risexp.hpo.studies.study import find_study
from tests.support.worker_processes import (
    EMBEDDED,
    NAME,
    ON_BOTH,
    exit_codes,
    opened,
    start,
    toy_study,
    until,
    violations,
)


def open_and_make(url: str) -> None:
    """What every worker does first: all of them open the same study."""
    with opened(url) as store:
        toy_study(store, 6)


@pytest.mark.fault("F16")
@ON_BOTH
def test_four_processes_starting_at_once_make_one_store_and_one_study(empty_url: str) -> None:
    processes = [start(open_and_make, empty_url) for _ in range(4)]

    assert [0] * 4 == exit_codes(*processes)
    with opened(empty_url) as store:
        study = find_study(store, NAME)
        assert [*range(6)] == [each.number for each in store.storage.list_trials(study.id)]
        assert [] == [each for each in violations(store, study) if each.rule == "I1"]


@EMBEDDED
@pytest.mark.parametrize("point", ["store.foreign", "store.own"])
def test_a_store_whose_creator_died_is_completed(empty_url: str, point: str) -> None:
    process = start(open_and_make, empty_url, crash=point)  # type: ignore[arg-type]

    assert [-9] == exit_codes(process)
    open_and_make(empty_url)


@ON_BOTH
def test_a_table_without_its_index_gets_it(url: str) -> None:
    """Its creator died between the two; without the index two workers could have one trial."""
    with opened(url) as store:
        engine = store.engine
        METADATA.drop_all(engine)
        METADATA.tables["risexp_attempts"].create(engine)
        ONE_LIVING.drop(engine)
    with opened(url) as store:
        names = {index["name"] for index in inspect(store.engine).get_indexes("risexp_attempts")}

    assert ONE_LIVING.name in names


@EMBEDDED
def test_an_embedded_store_flushes_every_commit_to_the_disk(store: StudyStore) -> None:
    with store.engine.connect() as connection:
        assert "wal" == connection.exec_driver_sql("PRAGMA journal_mode").scalar()
        assert 2 == connection.exec_driver_sql("PRAGMA synchronous").scalar()


def test_tables_of_another_version_are_refused(url: str) -> None:
    with opened(url) as store:
        store.write(lambda connection: connection.execute(update(STAMP).values(version=99)))
        try:
            with pytest.raises(EnvironmentFailed, match="version 99"):
                open_store(url)
        finally:
            store.write(lambda connection: connection.execute(update(STAMP).values(version=1)))


def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "optuna.db"
    path.write_bytes(b"These are words." * 100)

    with pytest.raises(EnvironmentFailed, match="cannot be used: file is not a database"):
        open_store(f"sqlite:///{path}")

    assert b"These are words." * 100 == path.read_bytes()


def test_a_driver_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)

    with pytest.raises(InvalidInput, match=r"pip install 'risexp\[postgres\]'"):
        open_store("postgresql://me:word@nowhere/name")


def test_a_missing_server_is_given_up_after_the_limit(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    url = f"postgresql://me:hunter2secret@/name?host={tmp_path}"

    with pytest.raises(EnvironmentFailed, match="has not answered for 0 s") as refusal:
        open_store(url, retry=Retry("", limit_s=0.0))

    assert "secret" not in str(refusal.value)


def test_a_store_is_shown_without_its_password(store: StudyStore) -> None:
    address = address_of("postgresql://me:hunter2secret@host/name")

    shown = replace(store, name=address.name, url=address.text)

    assert "secret" not in f"{shown} {shown!r}"


@ON_BOTH
def test_the_lock_keeps_others_out_until_it_is_left_or_its_holder_dies(store: StudyStore) -> None:
    with store.locked("a"):
        assert is_held(store.url)
    assert not is_held(store.url)
    holder = start(hold, store.url)
    until(lambda: is_held(store.url))

    holder.kill()

    until(lambda: not is_held(store.url))


def hold(url: str) -> None:
    """Hold a lock until killed."""
    with opened(url) as store, store.locked("a"):
        until(lambda: False)


def is_held(url: str) -> bool:
    """Whether another process holds the lock."""
    store = open_store(url, retry=Retry("", limit_s=0.0))
    try:
        with store.locked("a"):
            return False
    except EnvironmentFailed:
        return True
    finally:
        store.close()


def test_a_complete_store_is_opened_without_a_lock(store: StudyStore) -> None:
    with store.locked("schema"):
        again = open_store(store.url, retry=Retry("", limit_s=0.0))

    again.close()


@ON_BOTH
def test_finding_a_store_does_not_create_it(empty_url: str) -> None:
    with pytest.raises(InvalidInput, match="no search has been made in"):
        find_store(empty_url)

    path = address_of(empty_url).path
    assert path is None or not path.exists()
    open_store(empty_url).close()
    find_store(empty_url).close()
