"""Creates the tables of a store, once and completely, even if several processes try at once."""

import os
import sqlite3
from contextlib import closing, nullcontext
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from risexp.core.durable import PARTIAL, sync
from risexp.core.locks import file_lock, server_lock
from risexp.errors import EnvironmentFailed
from risexp.tracking.stores import SETTINGS, TrackingStore

if TYPE_CHECKING:
    from risexp.tracking.client import TrackingClient

Tables = Literal["missing", "other", "current"]
"""Tables of a store: none, those of another version of MLflow, or current ones."""

_LOCK_WAIT_S: Final = 300.0
"""Longest time that another process may take to create the tables."""
_ANSWER_S: Final = 5
"""Timeout for a database whose tables are only looked at."""
_LOCK: Final = 0x7269736578700001
"""Key of PostgreSQL's advisory lock: `risexp`, and a number."""


def opened(store: TrackingStore) -> "TrackingClient":
    """A client of a store whose tables are created if missing; to be used in `in_environment`.

    MLflow is imported here and not before: it takes seconds.
    """
    from risexp.tracking.client import TrackingClient

    prepare(store)
    return TrackingClient(store)


def prepare(store: TrackingStore) -> bool:
    """Create the tables of a store if they are missing; a server creates its own.

    Returns:
        True if this call created them.
    """
    if store.database is not None:
        return _prepare_file(store.database)
    if store.artifacts is not None:
        return _prepare_database(store)
    return False


def tables_of(store: TrackingStore) -> Tables:
    """Look at the tables of a store, within `in_environment`, and write nothing.

    A server's tables are always current. MLflow itself would migrate tables of another version.
    """
    if store.artifacts is None:
        return "current"
    if store.database is not None and not store.database.exists():
        return "missing"
    from alembic.runtime.migration import MigrationContext
    from sqlalchemy import create_engine, inspect

    limit = "timeout" if store.database is not None else "connect_timeout"
    engine = create_engine(store.uri, connect_args={limit: _ANSWER_S})
    try:
        with engine.connect() as connection:
            if not inspect(connection).has_table("experiments"):
                return "missing"
            heads = MigrationContext.configure(connection).get_current_heads()
    finally:
        engine.dispose()
    return "current" if heads == _heads() else "other"


@cache
def _heads() -> tuple[str, ...]:
    """The revision of the tables of the installed MLflow."""
    from alembic.script import ScriptDirectory

    return tuple(ScriptDirectory(str(files("mlflow") / "store" / "db_migrations")).get_heads())


def _prepare_file(path: Path) -> bool:
    """Create a file with all its tables, or none: a crash leaves no half of it."""
    if path.exists():
        return False
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.with_name(f".{path.name}.lock")
        with file_lock(lock, _busy(lock), _LOCK_WAIT_S):
            if path.exists():
                return False
            partial = path.with_name(path.name + PARTIAL)
            for left in path.parent.glob(f"{partial.name}*"):
                left.unlink()
            os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            artifacts = path.parent / "artifacts"
            artifacts.mkdir(mode=0o700, exist_ok=True)
            _make_tables(f"sqlite:///{partial}", artifacts.as_uri())
            write_ahead(partial)
            partial.rename(path)
            sync(path.parent)
    except OSError as error:
        raise EnvironmentFailed(f"cannot make the store {path}: {error.strerror}") from None
    return True


def write_ahead(path: Path) -> None:
    """Use write-ahead logging, so that readers and a writer do not block each other."""
    with closing(sqlite3.connect(path, timeout=20.0)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _prepare_database(store: TrackingStore) -> bool:
    """Create tables under a lock of the database, since machines may share no disk."""
    from sqlalchemy import create_engine, inspect

    engine = create_engine(store.uri)
    busy = _busy(store.name)
    try:
        locks = engine.dialect.name == "postgresql"
        with server_lock(engine, _LOCK, busy, _LOCK_WAIT_S) if locks else nullcontext():
            new = not inspect(engine).has_table("experiments")
            artifacts = "" if store.artifacts is None else store.artifacts.as_uri()
            _make_tables(store.uri, artifacts)
    finally:
        engine.dispose()
    return new


def _make_tables(uri: str, artifacts: str) -> None:
    os.environ.update(SETTINGS)
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    store = SqlAlchemyStore(uri, artifacts)  # type: ignore[no-untyped-call] # MLflow's own
    store.engine.dispose()


def _busy(place: object) -> str:
    return (
        f"another process has been making the store for {_LOCK_WAIT_S / 60:.0f} minutes: end it "
        f"and try again ({place})"
    )
