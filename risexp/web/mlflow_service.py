"""MLflow's server as a service for others: with passwords, and its tables made first.

MLflow wants the key of its pages in the environment. It is put there by the process itself, which
starts no other, so that it stands in the environment of none.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import uvicorn

from risexp.core.signals import SignalHandler
from risexp.errors import EnvironmentFailed
from risexp.tracking.schema import prepare
from risexp.tracking.stores import SETTINGS, Failure, TrackingStore, attempt
from risexp.web.guard import LOOPBACK, RequestGuard
from risexp.web.mlflow_app import Guarded, Linked, Pages, settings

AUTH: Final = "MLFLOW_AUTH_CONFIG_PATH"
"""Names the file of MLflow's accounts: their database, and the first of them with its password."""
_GRACE_S: Final = 10


@dataclass(frozen=True)
class Service:
    """What is served, and to whom."""

    store: TrackingStore
    """A database, without a password in its address."""
    artifacts: Path
    host: str
    port: int
    names: tuple[str, ...]
    """Host names that lead here, besides this machine's own."""
    dashboard_port: int | None
    """Where people find the dashboard of studies under the same names."""
    key: str = field(repr=False)
    """What MLflow signs its pages' forms with."""


def serve(service: Service) -> None:
    """Serve until a signal asks to end.

    Raises:
        EnvironmentFailed: The database does not answer, or MLflow refuses its accounts.
    """
    door = RequestGuard((*LOOPBACK, *(name.lower() for name in service.names)), writable=True)
    # Before MLflow is imported, which reads it.
    os.environ.update({**SETTINGS, **settings(door)})
    made = attempt(lambda: prepare(service.store))
    if isinstance(made, Failure):
        raise EnvironmentFailed(
            f"the database {service.store.name} cannot be made ready: {made.sentence}"
        )
    pages = Linked(_pages(service), service.dashboard_port, None)
    config = uvicorn.Config(
        Guarded(pages, door),
        host=service.host,
        port=service.port,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE_S,
    )
    _Server(config).run()


class _Server(uvicorn.Server):
    """Ends when asked to, and lets the process go on to its own end."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End on a signal, which is then done with."""
        with SignalHandler(self._end):
            yield

    def _end(self, _number: int) -> None:
        self.should_exit = True


def _pages(service: Service) -> Pages:
    from mlflow.environment_variables import MLFLOW_FLASK_SERVER_SECRET_KEY
    from mlflow.server import constants

    os.environ |= {
        MLFLOW_FLASK_SERVER_SECRET_KEY.name: service.key,
        constants.BACKEND_STORE_URI_ENV_VAR: service.store.uri,
        constants.REGISTRY_STORE_URI_ENV_VAR: service.store.uri,
        constants.ARTIFACT_ROOT_ENV_VAR: "mlflow-artifacts:/",
        constants.ARTIFACTS_DESTINATION_ENV_VAR: service.artifacts.absolute().as_uri(),
        constants.SERVE_ARTIFACTS_ENV_VAR: "true",
        # Its application for an asynchronous server, as `mlflow server` has it.
        "_MLFLOW_SGI_NAME": "uvicorn",
    }
    from mlflow.server.auth import create_app

    made: Pages = create_app()
    return made
