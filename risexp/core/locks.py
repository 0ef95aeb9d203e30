"""Locks between processes: the lock of a file, and an advisory lock of PostgreSQL."""

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from filelock import FileLock, Timeout

from risexp.errors import EnvironmentFailed

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

_POLL_S: Final = 0.1


class Busy(EnvironmentFailed):
    """Another process holds the lock."""


@contextmanager
def file_lock(path: Path, busy: str, wait_s: float = 0.0) -> Iterator[None]:
    """Hold the lock of a file; the system releases it when the process dies.

    `busy` is the error sentence if another process still holds it after `wait_s`.
    """
    lock = FileLock(path, timeout=wait_s, mode=0o600)
    try:
        lock.acquire()
    except Timeout:
        raise Busy(busy) from None
    except OSError as error:
        raise EnvironmentFailed(f"cannot lock {path}: {error.strerror}") from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def server_lock(
    engine: "Engine",
    key: int,
    busy: str,
    wait_s: float = 0.0,
    retry: "Callable[[Callable[[], Connection | None]], Connection | None]" = lambda call: call(),
) -> Iterator[None]:
    """Hold an advisory lock of PostgreSQL; the server releases it when the connection ends.

    `key` is its number, see `lock_key`; `retry` repeats a call while the server does not answer.
    """
    end = time.monotonic() + wait_s
    while (connection := retry(lambda: _locked_connection(engine, key))) is None:
        if time.monotonic() >= end:
            raise Busy(busy)
        time.sleep(_POLL_S)
    try:
        yield
    finally:
        # Closed for good: in the engine's pool the connection would keep the lock.
        connection.invalidate()
        connection.close()


def lock_key(name: str) -> int:
    """The number of an advisory lock, from its name."""
    digest = hashlib.sha256(f"risexp {name}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


def _locked_connection(engine: "Engine", key: int) -> "Connection | None":
    """A connection that holds the lock, without a transaction: the server ends an idle one."""
    from sqlalchemy import func, select

    connection = engine.execution_options(isolation_level="AUTOCOMMIT").connect()
    try:
        if connection.execute(select(func.pg_try_advisory_lock(key))).scalar_one():
            return connection
    except BaseException:
        connection.close()
        raise
    connection.close()
    return None
