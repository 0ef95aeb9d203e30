"""The tables of a store, made once and as a whole, whoever else is about to make them."""

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
"""Of a store: none, those of another version of MLflow, or those it needs."""

_PATIENCE_S: Final = 300.0
"""How long another process may take to make the tables."""
_ANSWER_S: Final = 5
"""How long a database is waited for that is only asked whether it is there."""
_LOCK: Final = 0x7269736578700001
"""Key of PostgreSQL's advisory lock: `risexp`, and a number."""


def opened(store: TrackingStore) -> "TrackingClient":
    """The runs of a store that has its tables, from within `in_environment`.

    MLflow is imported here and not before: it takes seconds.
    """
    from risexp.tracking.client import TrackingClient

    prepare(store)
    return TrackingClient(store)


def prepare(store: TrackingStore) -> bool:
    """See to it that a store has its tables.

    Returns:
        Whether they were made by this call; a server makes its own.

    Raises:
        EnvironmentFailed: The disk is full or forbidden, or another process makes them for ever.
    """
    if store.database is not None:
        return _prepare_file(store.database)
    if store.artifacts is not None:
        return _prepare_database(store)
    return False


def tables_of(store: TrackingStore) -> Tables:
    """What tables a store has, from within `in_environment`: a server sees to its own.

    Nothing is written, and a database that is away is waited for only briefly. MLflow itself would
    bring the tables of another version to its own.
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
            found = MigrationContext.configure(connection).get_current_heads()
    finally:
        engine.dispose()
    return "current" if found == _heads() else "other"


@cache
def _heads() -> tuple[str, ...]:
    """The revision of tables that the MLflow which is installed knows."""
    from alembic.script import ScriptDirectory

    return tuple(ScriptDirectory(str(files("mlflow") / "store" / "db_migrations")).get_heads())


def _prepare_file(path: Path) -> bool:
    """A file is there with all its tables or not at all: a crash leaves none half-made."""
    if path.exists():
        return False
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.with_name(f".{path.name}.lock")
        with file_lock(lock, _busy(lock), _PATIENCE_S):
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
    """Let readers and a writer go on at once, from here on and for every process."""
    with closing(sqlite3.connect(path, timeout=20.0)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _prepare_database(store: TrackingStore) -> bool:
    """A database's own lock keeps machines apart that share no disk."""
    from sqlalchemy import create_engine, inspect

    engine = create_engine(store.uri)
    busy = _busy(store.name)
    try:
        locks = engine.dialect.name == "postgresql"
        with server_lock(engine, _LOCK, busy, _PATIENCE_S) if locks else nullcontext():
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
        f"another process has been making the store for {_PATIENCE_S / 60:.0f} minutes: end it "
        f"and try again ({place})"
    )
