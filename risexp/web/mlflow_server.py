"""MLflow's server: as a child process beside the dashboard, or in this process with accounts.

The child (`python -m risexp.web.mlflow_server`) reads its settings, which hold passwords, from one
line of its standard input, so they are in no list of processes; it ends when that input ends. As a
service, this process puts the key of MLflow's forms into its own environment and starts no other
process, so no other environment holds the key.
"""

import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter
from starlette.types import ASGIApp

from risexp.core.redaction import redacted, secrets_of
from risexp.core.signals import SignalHandler
from risexp.errors import EnvironmentFailed
from risexp.runs.spec import EXPERIMENT
from risexp.tracking.schema import prepare
from risexp.tracking.stores import SETTINGS, Failure, TrackingStore, attempt
from risexp.web.connections import WebServer, server_config
from risexp.web.guard import LOOPBACK, RequestGuard
from risexp.web.mlflow_app import explain_bad_queries, guarded_mlflow, mlflow_settings

AUTH: Final = "MLFLOW_AUTH_CONFIG_PATH"
"""Environment variable: the file of MLflow's accounts, with the first of them and its password."""
_STOP_S: Final = 5.0
"""Longest time that the child may take to end before it is killed."""
_GRACE_S: Final = 10
"""Longest time that the service waits at its end for open requests."""


@dataclass(frozen=True)
class ChildSettings:
    """Settings of the child process."""

    descriptor: int
    """Of the listening socket."""
    guard: RequestGuard
    backend: str = field(repr=False)
    """Address of MLflow's store; it may hold a password."""
    artifacts: str
    """Address of the artifacts of new experiments."""
    dashboard_port: int | None
    """Where the dashboard listens on the same host; None if it does not."""


CHILD_SETTINGS: Final = TypeAdapter(ChildSettings)


class MlflowServer:
    """A child process that serves the pages of a store, which is a database."""

    def __init__(
        self,
        store: TrackingStore,
        listening: socket.socket,
        guard: RequestGuard,
        dashboard_port: int | None,
    ) -> None:
        """Start the child, which takes over the socket."""
        settings = ChildSettings(
            descriptor=listening.fileno(),
            guard=guard,
            backend=store.uri,
            artifacts="" if store.artifacts is None else store.artifacts.as_uri(),
            dashboard_port=dashboard_port,
        )
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - open for as long as the process
        self._process = subprocess.Popen(
            [sys.executable, "-m", "risexp.web.mlflow_server"],
            env={**os.environ, **store.environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self._stderr,
            pass_fds=(listening.fileno(),),
            # Ctrl-C is for the parent.
            start_new_session=True,
        )
        listening.close()
        pipe = self._process.stdin
        if pipe is not None:
            with suppress(BrokenPipeError):
                pipe.write(CHILD_SETTINGS.dump_json(settings) + b"\n")
                pipe.flush()

    def died(self) -> str | None:
        """A sentence if the child ended by itself, with its last line of output."""
        code = self._process.poll()
        if code is None:
            return None
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").splitlines()
        last = next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
        message = redacted(last, secrets_of(os.environ))
        return f"MLflow's server ended with exit code {code}: {message}"

    def stop(self) -> None:
        """End the child."""
        self._process.terminate()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._stderr.close()


def main() -> None:
    """Serve as the child until the standard input ends, or a signal comes."""
    settings = CHILD_SETTINGS.validate_json(sys.stdin.buffer.readline())
    # Before MLflow's application is imported, which reads it.
    os.environ.update({**SETTINGS, **mlflow_settings(settings.guard)})
    _set_store(settings.backend, settings.artifacts)
    from mlflow import MlflowClient
    from mlflow.server import app as views
    from mlflow.server.fastapi_app import app

    explain_bad_queries(views)
    store = MlflowClient(settings.backend, settings.backend)
    existing = store.get_experiment_by_name(EXPERIMENT)
    experiment = None if existing is None else str(existing.experiment_id)
    guarded = guarded_mlflow(app, settings.guard, settings.dashboard_port, experiment)
    server = WebServer(server_config(guarded))

    def end_with_parent() -> None:
        while os.read(sys.stdin.fileno(), 1):
            pass
        server.end()

    threading.Thread(target=end_with_parent, name="end with parent", daemon=True).start()
    server.run(sockets=[socket.socket(fileno=settings.descriptor)])


def _set_store(backend: str, artifacts: str) -> None:
    """Set the environment variables from which MLflow's application reads its store."""
    from mlflow.server import constants

    os.environ |= {
        constants.BACKEND_STORE_URI_ENV_VAR: backend,
        constants.REGISTRY_STORE_URI_ENV_VAR: backend,
        constants.ARTIFACT_ROOT_ENV_VAR: "mlflow-artifacts:/",
        constants.ARTIFACTS_DESTINATION_ENV_VAR: artifacts,
        constants.SERVE_ARTIFACTS_ENV_VAR: "true",
    }


@dataclass(frozen=True)
class Service:
    """Settings of MLflow as a service."""

    store: TrackingStore
    """A database, without a password in its address."""
    artifacts: Path
    host: str
    port: int
    names: tuple[str, ...]
    """Host names that lead here, besides those of this machine."""
    dashboard_port: int | None
    """Port of the dashboard of studies under the same names."""
    key: str = field(repr=False)
    """Key with which MLflow signs the forms of its pages."""


def serve(service: Service) -> None:
    """Create the tables, and serve MLflow with accounts until a signal comes."""
    guard = RequestGuard((*LOOPBACK, *(name.lower() for name in service.names)), writable=True)
    # Before MLflow is imported, which reads it.
    os.environ.update({**SETTINGS, **mlflow_settings(guard)})
    made = attempt(lambda: prepare(service.store))
    if isinstance(made, Failure):
        raise EnvironmentFailed(
            f"the database {service.store.name} cannot be made ready: {made.sentence}"
        )
    guarded = guarded_mlflow(_pages_with_accounts(service), guard, service.dashboard_port, None)
    config = server_config(guarded, host=service.host, port=service.port, grace_s=_GRACE_S)
    _Server(config).run()


class _Server(WebServer):
    """Ends on a signal, and lets the process go on to its own end."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle a signal completely: uvicorn's own would raise it again."""
        with SignalHandler(lambda _: self.end()):
            yield


def _pages_with_accounts(service: Service) -> ASGIApp:
    from mlflow.environment_variables import MLFLOW_FLASK_SERVER_SECRET_KEY

    _set_store(service.store.uri, service.artifacts.absolute().as_uri())
    os.environ[MLFLOW_FLASK_SERVER_SECRET_KEY.name] = service.key
    # The application for an asynchronous server, as `mlflow server` starts it.
    os.environ["_MLFLOW_SGI_NAME"] = "uvicorn"
    from mlflow.server import app
    from mlflow.server.auth import create_app

    explain_bad_queries(app)
    pages: ASGIApp = create_app()
    return pages


if __name__ == "__main__":
    main()
