"""Where runs are recorded besides their folders: the embedded store, or a tracking server."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit, urlunsplit

from risexp.core.home import home
from risexp.core.redaction import redacted_address
from risexp.errors import InvalidInput
from risexp.runs.labels import EMBEDDED

OFF: Final = "off"
VARIABLE: Final = "RISEXP_TRACKING_URI"
"""Names the store where no option does."""
_POSTGRES: Final = "postgresql+psycopg"
_EXPECTED: Final = (
    f"give the address of a tracking server (http://host:5000), of a database "
    f"(postgresql://user@host/name), or {OFF}"
)

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
"""The environment that MLflow is used in."""


@dataclass(frozen=True)
class TrackingStore:
    """One place where MLflow keeps runs."""

    name: str
    """`embedded`, or its address without secrets: what is recorded and shown."""
    uri: str = field(repr=False)
    """What MLflow is given; it may hold a password."""
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Variables of the environment that MLflow reads the rest from."""
    database: Path | None = None
    """Its file, where it is one."""
    artifacts: Path | None = None
    """Where artifacts lie; None where the server decides."""

    @property
    def environment(self) -> dict[str, str]:
        """What the environment of a process that talks to it has to hold."""
        return {**SETTINGS, **self.credentials}


def embedded() -> TrackingStore:
    """The store under the home: one file, no server."""
    return _in_file(home().absolute() / "mlruns" / "mlflow.db", EMBEDDED)


def store_named(text: str) -> TrackingStore:
    """The store of an address.

    Raises:
        InvalidInput: It is none that could hold runs.
    """
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
        return _served(text)
    if parts.scheme in ("postgres", "postgresql", _POSTGRES) and len(parts.path) > 1:
        uri = f"{_POSTGRES}{text.removeprefix(parts.scheme)}"
        # Artifacts of a database without a server in front of it lie where the runs do.
        artifacts = home().absolute() / "mlruns" / "artifacts"
        return TrackingStore(redacted_address(uri), uri, artifacts=artifacts)
    raise InvalidInput(f"{redacted_address(text)!r} is no tracking store: {_EXPECTED}")


def chosen_store(
    option: str | None, environment: Mapping[str, str] | None = None
) -> TrackingStore | None:
    """The store of a new run: the option's, else the environment's, else the embedded one.

    Returns:
        None where tracking is off.
    """
    told = os.environ if environment is None else environment
    text = option or told.get(VARIABLE) or EMBEDDED
    return None if text == OFF else store_named(text)


def store_again(
    run: str, name: str, option: str | None, environment: Mapping[str, str] | None = None
) -> TrackingStore:
    """The store that a run is in, with the secrets that its folder does not hold.

    Args:
        run: The run's name.
        name: As the run's folder has it.
        option: An address for it, if one was given.
        environment: Whose address is taken where it is that of the same store.

    Raises:
        InvalidInput: The option names another store.
    """
    told = os.environ if environment is None else environment
    if option is not None:
        given = store_named(option)
        if given.name != name:
            raise InvalidInput(
                f"run {run} is recorded in {name} and cannot move to {given.name}: leave out the "
                "store, or name that one"
            )
        return given
    text = told.get(VARIABLE)
    if text and text != OFF and (known := store_named(text)).name == name:
        return known
    return store_named(name)


@contextmanager
def in_environment(store: TrackingStore) -> Iterator[None]:
    """Let this process talk to a store, and no other store receive what is for this one."""
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


def _served(text: str) -> TrackingStore:
    """MLflow puts addresses into messages: a password goes another way."""
    parts = urlsplit(text)
    credentials = {
        variable: unquote(value)
        for variable, value in (
            ("MLFLOW_TRACKING_USERNAME", parts.username),
            ("MLFLOW_TRACKING_PASSWORD", parts.password),
        )
        if value
    }
    place = parts.netloc.rsplit("@", 1)[-1]
    bare = urlunsplit((parts.scheme, place, parts.path.rstrip("/"), "", ""))
    return TrackingStore(bare, bare, credentials)


def _in_file(path: Path, name: str) -> TrackingStore:
    return TrackingStore(
        name, f"sqlite:///{path}", database=path, artifacts=path.parent / "artifacts"
    )
