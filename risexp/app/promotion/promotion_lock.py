"""One promotion at a time: a file lock beside a database on disk, a server's lock elsewhere."""

import getpass
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from sqlalchemy import Engine, create_engine, text

from risexp.core.durable import write_durably
from risexp.core.home import home
from risexp.core.locks import Busy, file_lock, lock_key, server_lock
from risexp.errors import EnvironmentFailed
from risexp.hpo.store.retry import Retry
from risexp.tracking.stores import TrackingStore

_LOCK: Final = "promotion"


def user() -> str:
    """The user's login name, or number."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"user {os.getuid()}"


def now() -> str:
    """The time in UTC, to the second."""
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"


@contextmanager
def promotion_lock(store: TrackingStore) -> Iterator[bool]:
    """Keep other promotions and rollbacks out; yields whether every process is kept out.

    A tracking server has no lock: then the lock is the home's, and two homes meet when the alias
    moves.
    """
    if store.database is None and store.artifacts is not None:
        with _server_lock(store):
            yield True
        return
    beside = store.database or home().absolute() / "mlruns" / "registry"
    with _file_lock(beside.with_name(f"{beside.name}.{_LOCK}.lock")):
        yield store.database is not None


@contextmanager
def _file_lock(path: Path) -> Iterator[None]:
    holder = path.with_suffix(".json")
    with ExitStack() as exits:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            exits.enter_context(file_lock(path, ""))
            write_durably(holder, _this_process().encode())
        except Busy:
            raise EnvironmentFailed(_busy(_read(holder))) from None
        except OSError as error:
            raise EnvironmentFailed(f"cannot lock {path}: {error.strerror}") from None
        exits.callback(holder.unlink, missing_ok=True)
        yield


@contextmanager
def _server_lock(store: TrackingStore) -> Iterator[None]:
    # PostgreSQL keeps the first 63 bytes.
    options = {"application_name": f"risexp {_LOCK} {_this_process()}"[:63], "connect_timeout": 10}
    with ExitStack() as exits:
        engine = create_engine(store.uri, connect_args=options)
        exits.callback(engine.dispose)
        # A limit of zero: the call is not repeated.
        once = Retry(store.name, limit_s=0.0)
        try:
            exits.enter_context(server_lock(engine, lock_key(_LOCK), "", retry=once))
        except Busy:
            raise EnvironmentFailed(_busy(_server_holder(engine))) from None
        yield


def _server_holder(engine: Engine) -> str:
    """The process that holds the lock, by the name of its connection; empty if none does."""
    query = text(
        "SELECT a.application_name FROM pg_locks l JOIN pg_stat_activity a USING (pid) "
        "WHERE l.locktype = 'advisory' AND l.granted AND a.application_name LIKE :ours"
    )
    with engine.connect() as connection:
        name = connection.execute(query, {"ours": f"risexp {_LOCK} %"}).scalar()
    return "" if name is None else str(name).removeprefix(f"risexp {_LOCK} ")


def _this_process() -> str:
    return f"{user()}, process {os.getpid()} on {socket.gethostname()}"


def _busy(holder: str) -> str:
    return (
        f"another promotion or rollback is running{f' ({holder})' if holder else ''}: nothing was "
        "changed; wait until it has ended, and run the command again"
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")[:200]
    except (OSError, UnicodeDecodeError):
        return ""
