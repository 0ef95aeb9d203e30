"""The address of a study store: the embedded database of a home, or a database URL."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from risexp.core.home import home
from risexp.core.redaction import redacted_address
from risexp.errors import EnvironmentFailed, InvalidInput

STORE: Final = "RISEXP_STORE"
"""Environment variable with the URL of the study store; no process list shows it."""
_POSTGRES: Final = "postgresql+psycopg"
_SESSION: Final = (
    "-c idle_in_transaction_session_timeout=30000 -c statement_timeout=60000 -c lock_timeout=30000"
)
"""Timeouts of the server: a worker that is stopped amid a transaction loses its locks."""


def store_url() -> str | None:
    """The URL of the study store from the environment; None if it is not set."""
    return os.environ.get(STORE) or None


@dataclass(frozen=True)
class Address:
    """A database and how to connect to it."""

    url: URL

    @property
    def path(self) -> Path | None:
        """File of an embedded database; None for a server."""
        embedded = self.url.drivername.startswith("sqlite") and self.url.database is not None
        return Path(str(self.url.database)) if embedded else None

    @property
    def text(self) -> str:
        """The URL with its password: for drivers only."""
        return self.url.render_as_string(hide_password=False)

    @property
    def name(self) -> str:
        """The path, or the URL without its password."""
        return redacted_address(self.text) if self.path is None else str(self.path)

    def arguments(self, busy_s: float) -> dict[str, Any]:
        """Arguments of the driver's `connect`; `busy_s` is how long it may wait."""
        if self.path is not None:
            return {"timeout": busy_s}
        return {
            "connect_timeout": max(2, min(10, round(busy_s))),
            "tcp_user_timeout": 20_000,
            "keepalives_idle": 15,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "client_encoding": "utf8",
            "application_name": "risexp",
            "options": _SESSION,
        }


def embedded() -> str:
    """The URL of the embedded database in the home."""
    path = home().absolute() / "mlruns" / "optuna.db"
    return URL.create("sqlite", database=str(path)).render_as_string(hide_password=False)


def address_of(url: str) -> Address:
    """The address that a URL names."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise InvalidInput(
            "the store's URL cannot be read: write sqlite:////absolute/path.db or "
            "postgresql://user:password@host/database"
        ) from None
    if parsed.drivername.startswith("sqlite"):
        return _embedded(parsed, optioned="?" in url)
    if parsed.drivername in {"postgresql", "postgres", _POSTGRES}:
        return Address(parsed.set(drivername=_POSTGRES))
    raise InvalidInput(
        f"a store on {parsed.get_backend_name()} is not known: use sqlite or postgresql"
    )


def _embedded(url: URL, *, optioned: bool) -> Address:
    if url.database in {None, "", ":memory:"} or optioned:
        raise InvalidInput(
            f"{redacted_address(str(url))} names no file that several processes can open: write "
            "sqlite:////absolute/path.db, without options"
        )
    return Address(URL.create("sqlite", database=str(Path(str(url.database)).absolute())))


def prepare(path: Path) -> None:
    """Create an empty database file that only its owner can read."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
    except OSError as error:
        raise EnvironmentFailed(f"cannot write {path}: {error.strerror}") from None
