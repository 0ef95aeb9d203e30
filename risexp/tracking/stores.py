"""Where runs are recorded besides their folders: the embedded store, or a tracking server.

Also `attempt`, which calls a store and turns any error into a `Failure` that can be retried.
"""

import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import unquote, urlsplit, urlunsplit

from risexp.core.home import home
from risexp.core.redaction import redacted, redacted_address, secrets_of
from risexp.errors import InvalidInput, RisexpError
from risexp.runs.spec import EMBEDDED

OFF: Final = "off"
VARIABLE: Final = "RISEXP_TRACKING_URI"
"""Environment variable that names the store if no option does."""
_POSTGRES: Final = "postgresql+psycopg"
_EXPECTED: Final = (
    f"give the address of a tracking server (http://host:5000), of a database "
    f"(postgresql://user@host/name), or {OFF}"
)
_LONGEST: Final = 400
"""Characters of a failure's sentence; some servers answer with a whole page."""
_SILENCE: Final = re.compile(
    r"connection refused|connection reset|timed out|name or service not known|no route to host|"
    r"temporary failure in name resolution|network is unreachable|remote end closed connection",
    re.IGNORECASE,
)
"""Words by which a long message says that the server does not answer."""

_DATABASE: Final = re.compile(r"\(\w[\w.]*\.\w*Error\) (.+?)(?:$| \[SQL: | \(Background on)")
"""What a database said, between words of SQLAlchemy."""
_DATABASE_LOG: Final = "mlflow.store.db.utils"
"""The logger to which MLflow writes a traceback of every database error before it raises it."""

SETTINGS: Final[Mapping[str, str]] = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_ENABLE_ASYNC_LOGGING": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    # A request that is tried again below us could create a run twice.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}


@dataclass(frozen=True)
class TrackingStore:
    """A store of MLflow: a server, a database, or the file in the home."""

    name: str
    """`embedded`, or the address without secrets: recorded and shown."""
    uri: str = field(repr=False)
    """Address for MLflow; it may hold a password."""
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Environment variables from which MLflow reads user and password."""
    database: Path | None = None
    """The SQLite file, if the store is one."""
    artifacts: Path | None = None
    """Folder of the artifacts; None if a server decides."""

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables of a process that uses the store."""
        return {**SETTINGS, **self.credentials}


def embedded() -> TrackingStore:
    """The store in the home: one file, no server."""
    return _in_file(home().absolute() / "mlruns" / "mlflow.db", EMBEDDED)


def store_named(text: str) -> TrackingStore:
    """The store with an address."""
    if text == EMBEDDED:
        return embedded()
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        raise InvalidInput(f"the tracking store's address is none: {_EXPECTED}") from None
    if parts.scheme == "sqlite" and parts.path.startswith("//"):
        return _in_file(Path(parts.path[1:]), redacted_address(text))
    if parts.scheme in ("http", "https") and parts.hostname:
        return _server(text)
    if parts.scheme in ("postgres", "postgresql", _POSTGRES) and len(parts.path) > 1:
        uri = f"{_POSTGRES}{text.removeprefix(parts.scheme)}"
        # Without a server in front of the database, artifacts are kept beside the runs.
        artifacts = home().absolute() / "mlruns" / "artifacts"
        return TrackingStore(redacted_address(uri), uri, artifacts=artifacts)
    raise InvalidInput(f"{redacted_address(text)!r} is no tracking store: {_EXPECTED}")


def chosen_store(
    option: str | None, environment: Mapping[str, str] | None = None
) -> TrackingStore | None:
    """The store of a new run: from the option, else the environment, else the embedded one.

    Returns:
        None if tracking is off.
    """
    variables = os.environ if environment is None else environment
    text = option or variables.get(VARIABLE) or EMBEDDED
    return None if text == OFF else store_named(text)


def store_again(
    run: str, name: str, option: str | None, environment: Mapping[str, str] | None = None
) -> TrackingStore:
    """The store with a name, in which a run is recorded already, with the secrets it needs.

    The option must name the same store; the environment's address is used if it does.
    """
    variables = os.environ if environment is None else environment
    if option is not None:
        chosen = store_named(option)
        if chosen.name != name:
            raise InvalidInput(
                f"run {run} is recorded in {name} and cannot move to {chosen.name}: leave out the "
                "store, or name that one"
            )
        return chosen
    text = variables.get(VARIABLE)
    if text and text != OFF and (usual := store_named(text)).name == name:
        return usual
    return store_named(name)


@contextmanager
def in_environment(store: TrackingStore) -> Iterator[None]:
    """Set the environment variables of a store, and restore the old ones afterwards."""
    before = {name: os.environ.get(name) for name in store.environment}
    os.environ.update(store.environment)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _server(text: str) -> TrackingStore:
    """MLflow puts addresses into messages, so user and password go into the environment."""
    parts = urlsplit(text)
    credentials = {
        variable: unquote(value)
        for variable, value in (
            ("MLFLOW_TRACKING_USERNAME", parts.username),
            ("MLFLOW_TRACKING_PASSWORD", parts.password),
        )
        if value
    }
    host = parts.netloc.rsplit("@", 1)[-1]
    bare = urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))
    return TrackingStore(bare, bare, credentials)


def _in_file(path: Path, name: str) -> TrackingStore:
    return TrackingStore(
        name, f"sqlite:///{path}", database=path, artifacts=path.parent / "artifacts"
    )


Result = TypeVar("Result")


@dataclass(frozen=True)
class Failure:
    """A call to a store that failed this time."""

    sentence: str
    """The message without secrets, in one line."""
    error: Exception


def attempt(action: Callable[[], Result]) -> Result | Failure:
    """Call a store: its result, or a failure."""
    logging.getLogger(_DATABASE_LOG).setLevel(logging.CRITICAL)
    try:
        return action()
    except Exception as error:  # noqa: BLE001 - the one place: what failed is kept, and sent later
        return Failure(_sentence(error), error)


def _sentence(error: Exception) -> str:
    if isinstance(error, RisexpError):
        return str(error)
    if silence := _SILENCE.search(str(error)):
        return f"the store does not answer ({silence[0].lower()})"
    message = " ".join(redacted(str(error), secrets_of(os.environ)).split())
    if database := _DATABASE.match(message):
        return f"the store's database failed ({database[1]})"
    if len(message) > _LONGEST:
        message = f"{message[: _LONGEST - 3]}..."
    return f"{type(error).__name__}: {message}"
