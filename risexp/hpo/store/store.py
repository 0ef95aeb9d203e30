"""The one way into Optuna's database: made once, patient, with our own tables beside."""

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
from risexp.hpo.store.retry import Retry
from risexp.hpo.store.schema import is_whole, make

T = TypeVar("T")

BUSY_S: Final = 60.0
"""How long a statement waits for the lock of an embedded database before it is made again."""


class NotMade(InvalidInput):
    """There is no store yet: the first search makes it."""


@dataclass(frozen=True, repr=False)
class StudyStore:
    """A database whose schema is whole. Open one in every process; take none into a fork."""

    name: str
    """For people: without a password."""
    url: str
    """For other processes: it may hold a password, and is printed nowhere."""
    engine: Engine
    storage: PatientStorage
    """What Optuna's studies talk to."""
    retry: Retry
    locked: Callable[[str], AbstractContextManager[None]]
    """One process at a time, by the name of what it does."""

    def __repr__(self) -> str:
        return f"Store({self.name})"

    def write(self, change: Callable[[Connection], T]) -> T:
        """One short transaction of our own, made again until it is answered.

        Within it Optuna must not be called: on an embedded database it would wait for ever.

        Raises:
            EnvironmentFailed: The database refuses, or has been away for too long.
        """

        def once() -> T:
            with self.engine.begin() as connection:
                return change(connection)

        return self.retry(once)

    def once(self) -> "StudyStore":
        """The same store, whose calls are made once: for a thread that comes again anyway."""
        impatient = replace(self.retry, limit_s=0.0)
        return replace(self, storage=self.storage.under(impatient), retry=impatient)

    def close(self) -> None:
        """Let go of every connection."""
        self.storage.remove_session()
        self.engine.dispose()


def open_store(
    url: str | None = None, *, retry: Retry | None = None, busy_s: float = BUSY_S
) -> StudyStore:
    """Open a store; the first to come makes it, however many come at once.

    Args:
        url: Of the database; None for the home's own.
        retry: How patient its calls are.
        busy_s: How long one statement waits for the lock of an embedded database.

    Raises:
        InvalidInput: The URL is none, or its driver is not installed.
        EnvironmentFailed: The database cannot be reached or written.
    """
    way = _Way.to(url, retry, busy_s)
    if way.address.path is not None:
        prepare(way.address.path)
    with _explained(way.address):
        probe = way.probe()
        if not way.retry(lambda: is_whole(probe)):
            with way.locked(probe, "schema"):
                way.retry(lambda: _make(way, probe))
        return way.store()


def find_store(
    url: str | None = None, *, retry: Retry | None = None, busy_s: float = BUSY_S
) -> StudyStore:
    """Open a store that somebody has made; for those who only look.

    Raises:
        NotMade: There is none.
        EnvironmentFailed: The database cannot be reached.
    """
    way = _Way.to(url, retry, busy_s)
    path = way.address.path
    with _explained(way.address):
        probe = way.probe()
        if (path is not None and not path.exists()) or not way.retry(lambda: is_whole(probe)):
            raise NotMade(
                f"no search has been made in {way.address.name}: start one, or name another store"
            )
        return way.store()


@dataclass(frozen=True)
class _Way:
    """How to come to a database."""

    address: Address
    retry: Retry
    options: dict[str, Any]

    @classmethod
    def to(cls, url: str | None, retry: Retry | None, busy_s: float) -> "_Way":
        address = address_of(embedded() if url is None else url)
        patient = Retry(address.name) if retry is None else replace(retry, name=address.name)
        return cls(address, patient, _options(address, busy_s))

    def probe(self) -> Engine:
        """An engine that keeps no connection."""
        told = self.options["connect_args"]
        return create_engine(self.address.url, connect_args=told, poolclass=NullPool)

    def backend(self, *, made: bool) -> RDBStorage:
        # Optuna fills braces in a URL, which are quoted there, and adds to the options.
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


def _make(way: _Way, engine: Engine) -> None:
    """Make what is missing of the schema; the stamp that says it is whole comes last."""
    if is_whole(engine):
        return
    if way.address.path is not None:
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
    way.backend(made=False).engine.dispose()
    failpoint("store.foreign")
    make(engine)
    failpoint("store.own")


def _options(address: Address, busy_s: float) -> dict[str, Any]:
    """Few connections: a server has a hundred, and every worker takes its own."""
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
