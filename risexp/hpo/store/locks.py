"""One process at a time: a file's lock beside an embedded database, the server's elsewhere."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout
from sqlalchemy import Connection, Engine, func, select

from risexp.errors import EnvironmentFailed
from risexp.hpo.store.retry import Retry

_POLL_S: Final = 0.1


@contextmanager
def file_locked(path: Path, limit_s: float) -> Iterator[None]:
    """Hold the lock of an embedded database; the system lets go of it when the process dies.

    Raises:
        EnvironmentFailed: Another process has held it for too long, or the folder is forbidden.
    """
    lock = FileLock(f"{path}.lock", timeout=limit_s, mode=0o600)
    try:
        lock.acquire()
    except Timeout:
        raise EnvironmentFailed(
            f"another process has held {path}.lock for {limit_s:g} s: end it, or wait for it"
        ) from None
    except OSError as error:
        raise EnvironmentFailed(f"cannot lock {path}.lock: {error.strerror}") from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def server_locked(engine: Engine, name: str, retry: Retry) -> Iterator[None]:
    """Hold a lock of the server; it lets go of it when the connection ends.

    Raises:
        EnvironmentFailed: Another process has held it for too long, or the server is away.
    """
    end = retry.clock() + retry.limit_s
    while (connection := retry(lambda: _holding(engine, name))) is None:
        if retry.clock() >= end:
            raise EnvironmentFailed(
                f"another process has held {retry.name} ({name}) for {retry.limit_s:g} s: end it, "
                "or wait for it"
            )
        retry.sleep(_POLL_S)
    try:
        yield
    finally:
        # Cut, not handed back: a connection of the pool would hold the lock on.
        connection.invalidate()
        connection.close()


def _holding(engine: Engine, name: str) -> Connection | None:
    """A connection that has the lock, outside a transaction: an idle one would be ended."""
    digest = hashlib.sha256(f"risexp {name}".encode()).digest()
    key = int.from_bytes(digest[:8], "big", signed=True)
    connection = engine.execution_options(isolation_level="AUTOCOMMIT").connect()
    try:
        if connection.execute(select(func.pg_try_advisory_lock(key))).scalar_one():
            return connection
    except BaseException:
        connection.close()
        raise
    connection.close()
    return None
