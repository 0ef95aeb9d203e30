"""The tables of a store are made once, as a whole, and for their owner alone."""

import importlib
import os
import sqlite3
import stat
from contextlib import closing
from itertools import chain
from pathlib import Path

import pytest
from mlflow import MlflowClient

from risexp.errors import EnvironmentFailed
from risexp.tracking import schema
from risexp.tracking.client import TrackingClient
from risexp.tracking.schema import prepare, tables_of
from risexp.tracking.stores import TrackingStore, embedded, store_named
from tests.support.postgres import postgres
from tests.support.uploads import (
    MAKE,
    due,
    finished,
    from_template,
    made_at_once,
    place,
    sent,
    together,
)

pytestmark = pytest.mark.usefixtures("own_home")

RECORD = """
import json, sys
from risexp.tracking.stores import embedded, in_environment
from risexp.tracking.schema import opened
sys.stdin.readline()
with in_environment(embedded()):
    runs = opened(embedded())
    print(json.dumps(runs.create(runs.experiment("risexp"), "run", {}, 1)))
"""


def tables(store: TrackingStore) -> set[str]:
    assert store.database is not None
    with closing(sqlite3.connect(store.database)) as connection:
        return {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}


def test_processes_that_start_at_once_create_the_tables_once() -> None:
    told, _ = made_at_once()

    assert [False, False, True] == sorted(told)
    assert {"runs", "metrics", "registered_models", "alembic_version"} <= tables(place(embedded()))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_sixteen_processes_on_a_fresh_store_all_record(own_home: Path) -> None:
    told = together(RECORD, 16, own_home)

    assert 16 == len(set(map(str, told)))


@pytest.mark.slow
def test_a_database_of_a_server_is_made_once_and_holds_a_run_as_its_journal_does(
    own_home: Path,
) -> None:
    with postgres() as server:
        store = store_named(server.create("mlflow"))
        told = together(MAKE.format(uri=store.uri), 3, own_home)
        runs = TrackingClient(store)
        folder = finished("served")
        run_id = sent(folder, store, runs).run_id
        (folder.path / "mlflow.json").unlink()
        again = sent(folder, store, runs).run_id

        client = MlflowClient(store.uri)
        histories = [
            client.get_metric_history(run_id, key) for key in client.get_run(run_id).data.metrics
        ]

    points = [(each.key, each.step, each.timestamp, each.value) for each in chain(*histories)]
    assert [False, False, True] == sorted(map(bool, told))
    assert run_id == again
    assert due(folder) == sorted(points)


def test_only_the_owner_can_read_a_store_which_is_created_once_and_lets_readers_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(schema, "_make_tables", from_template)
    store = embedded()

    assert prepare(store)

    assert store.database is not None
    assert store.artifacts is not None
    assert 0o600 == stat.S_IMODE(store.database.stat().st_mode)
    assert 0o700 == stat.S_IMODE(store.artifacts.stat().st_mode)
    before = place(store).database.read_bytes()  # type: ignore[union-attr]
    with closing(sqlite3.connect(store.database)) as connection:
        (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
        (safety,) = connection.execute("PRAGMA synchronous").fetchone()
    assert ("wal", 2) == (mode, safety)
    assert not prepare(store)
    assert before == store.database.read_bytes()


def test_a_process_that_is_killed_while_it_creates_the_tables_leaves_no_store(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Killed(BaseException):
        pass

    def half(uri: str, _: str) -> None:
        with closing(sqlite3.connect(uri.removeprefix("sqlite:///"))) as connection:
            connection.execute("CREATE TABLE runs (run_uuid TEXT)")
        raise Killed

    store = embedded()
    monkeypatch.setattr(schema, "_make_tables", half)
    with pytest.raises(Killed):
        prepare(store)
    assert store.database is not None
    left = store.database.exists()

    monkeypatch.setattr(schema, "_make_tables", from_template)

    assert (False, True) == (left, prepare(store))
    assert "alembic_version" in tables(store)
    assert [] == list(store.database.parent.glob("*.partial*"))


def test_telemetry_is_off_wherever_runs_are_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow.environment_variables import MLFLOW_DISABLE_TELEMETRY

    name = MLFLOW_DISABLE_TELEMETRY.name
    monkeypatch.delenv(name)

    importlib.reload(importlib.import_module("risexp.tracking.client"))

    assert "true" == os.environ[name]


def test_looking_at_the_tables_creates_none_and_a_folder_must_be_writable(tmp_path: Path) -> None:
    store = store_named(f"sqlite:///{tmp_path}/mlflow.db")

    assert "missing" == tables_of(store)
    assert [] == list(tmp_path.iterdir())
    (tmp_path / "mlflow.db").touch()
    assert "missing" == tables_of(store)
    assert "current" == tables_of(place(store))
    assert "current" == tables_of(store_named("http://127.0.0.1:9"))
    with pytest.raises(EnvironmentFailed, match="cannot make the store"):
        prepare(store_named(f"sqlite:///{tmp_path}/mlflow.db/mlflow.db"))
