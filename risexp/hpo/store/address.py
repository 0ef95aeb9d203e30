"""Where a store is: the embedded database of a home, or a URL whose password nobody prints."""

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
"""Environment variable with the URL of the study store; a URL there is in no list of processes."""
_POSTGRES: Final = "postgresql+psycopg"
_SESSION: Final = (
    "-c idle_in_transaction_session_timeout=30000 -c statement_timeout=60000 -c lock_timeout=30000"
)
"""A worker that was stopped amid a transaction loses its locks; whoever waits for one asks anew."""


def store_url() -> str | None:
    """URL of the study store from the environment, if it is set."""
    return os.environ.get(STORE) or None


@dataclass(frozen=True)
class Address:
    """A database and how to connect to it."""

    url: URL

    @property
    def path(self) -> Path | None:
        """The file of an embedded database."""
        embedded = self.url.drivername.startswith("sqlite") and self.url.database is not None
        return Path(str(self.url.database)) if embedded else None

    @property
    def text(self) -> str:
        """The URL with its password: for drivers, never for people."""
        return self.url.render_as_string(hide_password=False)

    @property
    def name(self) -> str:
        """For people: a path, or the URL without its password."""
        return redacted_address(self.text) if self.path is None else str(self.path)

    def arguments(self, busy_s: float) -> dict[str, Any]:
        """How to connect.

        Args:
            busy_s: How long a statement on an embedded database waits for its lock.
        """
        if self.path is not None:
            return {"timeout": busy_s}
        return {
            "connect_timeout": 10,
            "tcp_user_timeout": 20_000,
            "keepalives_idle": 15,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "client_encoding": "utf8",
            "application_name": "risexp",
            "options": _SESSION,
        }


def embedded() -> str:
    """The URL of the database in the home."""
    path = home().absolute() / "mlruns" / "optuna.db"
    return URL.create("sqlite", database=str(path)).render_as_string(hide_password=False)


def address_of(url: str) -> Address:
    """The address a URL names.

    Raises:
        InvalidInput: It is no URL, or of a database that is not known.
    """
    try:
        found = make_url(url)
    except (ArgumentError, ValueError):
        raise InvalidInput(
            "the store's URL cannot be read: write sqlite:////absolute/path.db or "
            "postgresql://user:password@host/database"
        ) from None
    if found.drivername.startswith("sqlite"):
        return _embedded(found, optioned="?" in url)
    if found.drivername in {"postgresql", "postgres", _POSTGRES}:
        return Address(found.set(drivername=_POSTGRES))
    raise InvalidInput(
        f"a store on {found.get_backend_name()} is not known: use sqlite or postgresql"
    )


def _embedded(url: URL, *, optioned: bool) -> Address:
    if url.database in {None, "", ":memory:"} or optioned:
        raise InvalidInput(
            f"{redacted_address(str(url))} names no file that several processes can open: write "
            "sqlite:////absolute/path.db, without options"
        )
    return Address(URL.create("sqlite", database=str(Path(str(url.database)).absolute())))


def prepare(path: Path) -> None:
    """An empty file that only its owner reads; what the database adds to it inherits that.

    Raises:
        EnvironmentFailed: The folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
    except OSError as error:
        raise EnvironmentFailed(f"cannot write {path}: {error.strerror}") from None
