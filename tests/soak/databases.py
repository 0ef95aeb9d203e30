"""What can happen to the database of a search: it is away, or another client holds its lock."""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from tests.support.postgres import Server

End = Callable[[], object]
"""Ends a fault."""


class Database(Protocol):
    """The database of a search."""

    @property
    def url(self) -> str:
        """Address for its clients."""

    def stop(self, mode: str) -> End | None:
        """Stop the server; None if there is none."""

    def lock(self) -> End:
        """Lock everything as another client that writes."""


@dataclass(frozen=True)
class OnServer:
    """A database of a private PostgreSQL server."""

    url: str
    server: Server

    def stop(self, mode: str) -> End | None:
        self.server.control("-m", mode, "stop")
        return self.server.start

    def lock(self) -> End:
        engine = create_engine(
            self.url.replace("postgresql:", "postgresql+psycopg:", 1), poolclass=NullPool
        )
        connection = engine.connect()
        connection.exec_driver_sql("SET lock_timeout = '5s'")
        connection.exec_driver_sql(
            "LOCK TABLE trials, trial_intermediate_values, risexp_attempts IN EXCLUSIVE MODE"
        )
        return connection.close


@dataclass(frozen=True)
class InFile:
    """A SQLite file."""

    url: str

    def stop(self, _mode: str) -> End | None:
        return None

    def lock(self) -> End:
        path = Path(self.url.removeprefix("sqlite:///"))
        connection = sqlite3.connect(path, timeout=5.0, isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        return connection.close
