"""Stores and studies for the tests of the search, on every database there is."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import inspect

from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.study import StudyRef
from risexp.hpo.trials.queue import Queue
from tests.support.postgres import Server, postgres
from tests.support.worker_processes import FailPoints, opened, queue_of, toy_study

KEPT = {"version_info", "alembic_version", "risexp_store"}
"""Tables that say what the schema is."""


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A PostgreSQL server."""
    with postgres() as running:
        yield running


@pytest.fixture(scope="session")
def file_store(
    tmp_path_factory: pytest.TempPathFactory, empty_database: Path
) -> Iterator[StudyStore]:
    """An embedded store: made once, and emptied before each test."""
    path = shutil.copy(empty_database, tmp_path_factory.mktemp("store"))
    with opened(f"sqlite:///{path}") as found:
        yield found


@pytest.fixture(scope="session")
def server_store(server: Server) -> Iterator[StudyStore]:
    """A store on a server, likewise."""
    with opened(server.create("made")) as found:
        yield found


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def backend(request: pytest.FixtureRequest) -> str:
    """The kind of database; PostgreSQL only at night, but for tests marked `ON_BOTH`."""
    return str(request.param)


@pytest.fixture
def empty_url(request: pytest.FixtureRequest, backend: str, tmp_path: Path) -> str:
    """Of a database that holds nothing."""
    if backend == "sqlite":
        return f"sqlite:///{tmp_path / 'optuna.db'}"
    server: Server = request.getfixturevalue("server")
    return server.create(f"empty-{tmp_path.name}")


@pytest.fixture
def store(request: pytest.FixtureRequest, backend: str) -> StudyStore:
    """A store without a study."""
    name = "file_store" if backend == "sqlite" else "server_store"
    found: StudyStore = request.getfixturevalue(name)
    tables = set(inspect(found.engine).get_table_names()) - KEPT
    with found.engine.begin() as connection:
        if backend == "sqlite":
            for table in tables:
                connection.exec_driver_sql(f"DELETE FROM {table}")  # noqa: S608 - its own names
        else:
            connection.exec_driver_sql(f"TRUNCATE {', '.join(tables)}")
    # Ids come again: what was read of earlier ones must not.
    return replace(found, storage=found.storage.under(found.retry))


@pytest.fixture
def url(store: StudyStore) -> str:
    """Of a database with the schema and no study."""
    return store.url


@pytest.fixture
def fail_points(monkeypatch: pytest.MonkeyPatch) -> FailPoints:
    """Points at which workers of this process die or stop."""
    return FailPoints(monkeypatch)


@pytest.fixture
def study(store: StudyStore) -> StudyRef:
    """A study of four trials."""
    return toy_study(store, 4)


@pytest.fixture
def queue(store: StudyStore, study: StudyRef) -> Queue:
    """A worker's access to the study."""
    return queue_of(store, study)
