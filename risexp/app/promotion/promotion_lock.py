"""One promotion at a time: a file's lock beside a database on disk, a server's own elsewhere."""

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

_WHAT: Final = "promotion"


def user() -> str:
    """The name of whoever runs this, and nothing else of them."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"user {os.getuid()}"


def now() -> str:
    """The time in UTC, to the second."""
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"


@contextmanager
def only_one(store: TrackingStore) -> Iterator[bool]:
    """Keep other promotions and rollbacks out of a registry.

    Returns:
        Whether everybody is kept out who may write to it. A tracking server has no lock to give:
        there the lock is the home's, and two homes meet when the alias moves.

    Raises:
        EnvironmentFailed: Somebody is at it, and is named; or the store does not answer.
    """
    if store.database is None and store.artifacts is not None:
        with _of_server(store):
            yield True
        return
    beside = store.database or home().absolute() / "mlruns" / "registry"
    with _of_file(beside.with_name(f"{beside.name}.{_WHAT}.lock")):
        yield store.database is not None


@contextmanager
def _of_file(path: Path) -> Iterator[None]:
    holder = path.with_suffix(".json")
    with ExitStack() as exits:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            exits.enter_context(file_lock(path, ""))
            write_durably(holder, _me().encode())
        except Busy:
            raise EnvironmentFailed(_busy(_read(holder))) from None
        except OSError as error:
            raise EnvironmentFailed(f"cannot lock {path}: {error.strerror}") from None
        exits.callback(holder.unlink, missing_ok=True)
        yield


@contextmanager
def _of_server(store: TrackingStore) -> Iterator[None]:
    # PostgreSQL keeps the first 63 bytes.
    named = {"application_name": f"risexp {_WHAT} {_me()}"[:63], "connect_timeout": 10}
    with ExitStack() as exits:
        engine = create_engine(store.uri, connect_args=named)
        exits.callback(engine.dispose)
        # A limit of zero: the call is not repeated.
        once = Retry(store.name, limit_s=0.0)
        try:
            exits.enter_context(server_lock(engine, lock_key(_WHAT), "", retry=once))
        except Busy:
            raise EnvironmentFailed(_busy(_holder(engine))) from None
        yield


def _holder(engine: Engine) -> str:
    """Whoever has the lock, by the name of the connection; empty where none has."""
    question = text(
        "SELECT a.application_name FROM pg_locks l JOIN pg_stat_activity a USING (pid) "
        "WHERE l.locktype = 'advisory' AND l.granted AND a.application_name LIKE :ours"
    )
    with engine.connect() as connection:
        found = connection.execute(question, {"ours": f"risexp {_WHAT} %"}).scalar()
    return "" if found is None else str(found).removeprefix(f"risexp {_WHAT} ")


def _me() -> str:
    return f"{user()}, process {os.getpid()} on {socket.gethostname()}"


def _busy(who: str) -> str:
    return (
        f"somebody else is promoting or rolling back{f' ({who})' if who else ''}: nothing was "
        "changed; wait until that is done, and run the command again"
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")[:200]
    except (OSError, UnicodeDecodeError):
        return ""
