"""Opens the study store: Optuna's database with our own tables, and retries for its calls."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from optuna.storages import RDBStorage
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from risexp.core.failpoint import failpoint
from risexp.core.locks import file_lock, lock_key, server_lock
from risexp.errors import EnvironmentFailed, InvalidInput
from risexp.hpo.store.address import Address, address_of, embedded, prepare
from risexp.hpo.store.patient_storage import PatientStorage
from risexp.hpo.store.retry import RAISED, Retry, first_line
from risexp.hpo.store.schema import is_whole, make

T = TypeVar("T")

BUSY_S: Final = 60.0
"""How long a statement waits for the lock of an embedded database before it is repeated."""


FULL: Final = ("disk is full", "disk I/O error")
"""What an embedded database says on a full disk: a store is not made, and not waited for."""

READ_S: Final = 5.0
"""How long a command that only reads waits for a database that does not answer."""


class NotMade(InvalidInput):
    """The store does not exist yet; the first search creates it."""


@dataclass(frozen=True, repr=False)
class StudyStore:
    """A database with a complete schema. Every process opens its own; a fork must not use it."""

    name: str
    """Name for messages, without a password."""
    url: str
    """URL for other processes; it may hold a password, and is never printed."""
    engine: Engine
    storage: PatientStorage
    """The storage for Optuna's studies."""
    retry: Retry
    locked: Callable[[str], AbstractContextManager[None]]
    """Takes a lock by name: one process at a time holds it."""

    def __repr__(self) -> str:
        return f"Store({self.name})"

    def write(self, change: Callable[[Connection], T]) -> T:
        """Run one short transaction, repeated until the database answers.

        It must not call Optuna, which would wait for ever on an embedded database.
        """

        def once() -> T:
            with self.engine.begin() as connection:
                return change(connection)

        return self.retry(once)

    def once(self) -> "StudyStore":
        """The same store without retries: for a thread that repeats its calls anyway."""
        return self.patient(0.0)

    def patient(self, limit_s: float) -> "StudyStore":
        """The same store with another limit for the retries of its calls."""
        retry = replace(self.retry, limit_s=limit_s)
        return replace(self, storage=self.storage.under(retry), retry=retry)

    def close(self) -> None:
        """Close every connection."""
        self.storage.remove_session()
        self.engine.dispose()


def open_store(
    url: str | None = None, *, retry: Retry | None = None, busy_s: float = BUSY_S
) -> StudyStore:
    """Open a store, and create it if it does not exist; processes may do so at once.

    Args:
        url: Of the database; None for the home's own.
        retry: Limits for the retries of its calls.
        busy_s: How long one statement waits for the lock of an embedded database.
    """
    database = _Database.at(url, retry, busy_s)
    if database.address.path is not None:
        prepare(database.address.path)
    with _explained(database.address):
        probe = database.probe()
        if not database.retry(lambda: is_whole(probe)):
            with database.locked(probe, "schema"):
                database.retry(lambda: _make(database, probe))
        return database.store()


def find_store(
    url: str | None = None, *, retry: Retry | None = None, busy_s: float = BUSY_S
) -> StudyStore:
    """Open an existing store; the arguments are those of `open_store`."""
    database = _Database.at(url, retry, busy_s)
    path = database.address.path
    with _explained(database.address):
        probe = database.probe()
        if (path is not None and not path.exists()) or not database.retry(lambda: is_whole(probe)):
            raise NotMade(
                f"no search has been made in {database.address.name}: start one, or name another "
                "store"
            )
        return database.store()


def read_store(url: str | None = None) -> StudyStore:
    """Open an existing store for a reader, who waits for seconds and not for minutes."""
    return find_store(url, retry=Retry("", limit_s=READ_S), busy_s=READ_S)


@dataclass(frozen=True)
class _Database:
    """A database that is not opened yet."""

    address: Address
    retry: Retry
    options: dict[str, Any]

    @classmethod
    def at(cls, url: str | None, retry: Retry | None, busy_s: float) -> "_Database":
        address = address_of(embedded() if url is None else url)
        patient = Retry(address.name) if retry is None else replace(retry, name=address.name)
        return cls(address, patient, _options(address, busy_s))

    def probe(self) -> Engine:
        """An engine that keeps no connection."""
        arguments = self.options["connect_args"]
        return create_engine(self.address.url, connect_args=arguments, poolclass=NullPool)

    def backend(self, *, made: bool) -> RDBStorage:
        # Optuna adds to the options, so it gets a copy.
        options = dict(self.options)
        return RDBStorage(self.address.text, engine_kwargs=options, skip_table_creation=made)

    def locked(self, engine: Engine, name: str) -> AbstractContextManager[None]:
        limit_s, path = self.retry.limit_s, self.address.path
        place = f"{self.retry.name} ({name})" if path is None else f"{path}.lock"
        busy = f"another process has held {place} for {limit_s:g} s: end it, or wait for it"
        if path is not None:
            return file_lock(Path(f"{path}.lock"), busy, limit_s)
        return server_lock(engine, lock_key(name), busy, limit_s, self.retry)

    def store(self) -> StudyStore:
        backend = self.retry(lambda: self.backend(made=True))
        return StudyStore(
            name=self.address.name,
            url=self.address.text,
            engine=backend.engine,
            storage=PatientStorage(backend, self.retry),
            retry=self.retry,
            locked=partial(self.locked, backend.engine),
        )


def _make(database: _Database, engine: Engine) -> None:
    """Create what is missing of the schema; its version is written last."""
    if is_whole(engine):
        return
    try:
        _make_tables(database, engine)
    except RAISED as error:
        if not any(words in first_line(error) for words in FULL):
            raise
        raise EnvironmentFailed(
            f"{database.address.name} cannot be made: {first_line(error)}; make room on its disk"
        ) from None


def _make_tables(database: _Database, engine: Engine) -> None:
    if database.address.path is not None:
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
    database.backend(made=False).engine.dispose()
    failpoint("store.foreign")
    make(engine)
    failpoint("store.own")


def _options(address: Address, busy_s: float) -> dict[str, Any]:
    """Options of the engine: few connections, since every worker has its own."""
    tuned = [] if address.path is None else [(_flush_every_commit, "connect")]
    return {
        "connect_args": address.arguments(busy_s),
        "pool_events": tuned,
        "pool_size": 2,
        "max_overflow": 2,
        "pool_pre_ping": True,
    }


def _flush_every_commit(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()


@contextmanager
def _explained(address: Address) -> Iterator[None]:
    try:
        yield
    except ImportError:
        raise InvalidInput(
            f"{address.name} needs a driver that is not installed: pip install 'risexp[postgres]'"
        ) from None
    except RuntimeError as error:
        raise EnvironmentFailed(
            f"{address.name} was made by another version of Optuna: {error}"
        ) from None
