"""Worker processes from a fork server that has imported everything: a start costs no system."""

import multiprocessing
import os
import signal
import subprocess
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Final

SERVER: Final = multiprocessing.get_context("forkserver")
DATABASES: Final = (
    *("alembic.command", "alembic.migration", "alembic.script", "optuna.storages._rdb.models"),
    *("psycopg", "sqlalchemy.dialects.postgresql.psycopg", "sqlalchemy.dialects.sqlite.pysqlite"),
)
"""Modules that a worker would import with its first connection."""


class Forked:
    """A worker, with the part of `subprocess.Popen` that a pool of workers needs."""

    stdin = None

    def __init__(
        self,
        work: Callable[..., object],
        *arguments: object,
        crashed: Callable[[int], object] = lambda _: None,
    ) -> None:
        """Start it; `work` receives a pipe that closes with this process, and the arguments.

        `crashed` receives its number if it ends in another way than by itself or by a kill.
        """
        theirs, self._ours = SERVER.Pipe(duplex=False)
        self._process = SERVER.Process(target=_run, args=(work, theirs, arguments))
        self._process.start()
        theirs.close()
        self._crashed: Callable[[int], object] | None = crashed
        self.pid = int(self._process.pid or 0)

    def poll(self) -> int | None:
        """The exit code; None while it runs."""
        code = self._process.exitcode
        if code not in {None, 0, -signal.SIGKILL} and self._crashed is not None:
            self._crashed(self.pid)
            self._crashed = None
        return code

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the exit code."""
        self._process.join(timeout)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired("a worker", timeout or 0.0)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it."""
        self._process.kill()


def _run(work: Callable[..., object], parent: Connection, arguments: tuple[object, ...]) -> None:
    raise SystemExit(work(parent, *arguments))
