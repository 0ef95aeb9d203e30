"""MLflow as a service of a deployment, from what its command names."""

import os
from dataclasses import dataclass
from pathlib import Path

from risexp.app.ui.host_names import expect_host, host_name
from risexp.app.ui.secret_files import secret_in
from risexp.errors import InvalidInput
from risexp.tracking.stores import store_named
from risexp.web.mlflow_service import AUTH, Service, serve


@dataclass(frozen=True)
class Tracker:
    """What is asked for."""

    backend: str
    """A PostgreSQL database."""
    artifacts: Path
    key_file: Path
    host: str
    port: int
    dashboard_port: int | None
    names: tuple[str, ...]


def serve_tracker(asked: Tracker) -> None:
    """Serve MLflow with passwords until a signal asks to end.

    Raises:
        InvalidInput: The database or a file is not what is needed.
        EnvironmentFailed: The database does not answer.
    """
    expect_host(asked.host)
    names = tuple(host_name(name, "--allow-host") for name in asked.names)
    store = store_named(asked.backend)
    if store.database is not None or store.artifacts is None:
        raise InvalidInput(
            f"--backend {store.name}: give a PostgreSQL database, postgresql://user@host/name"
        )
    if not Path(os.environ.get(AUTH, "")).is_file():
        raise InvalidInput(
            f"{AUTH} names no file: it holds MLflow's first account, as `risexp deploy init` "
            "writes it into secrets/mlflow_auth"
        )
    if not asked.artifacts.is_dir():
        raise InvalidInput(f"--artifacts {asked.artifacts} is no folder")
    serve(
        Service(
            store=store,
            artifacts=asked.artifacts,
            host=asked.host,
            port=asked.port,
            names=names,
            dashboard_port=asked.dashboard_port,
            key=secret_in(asked.key_file),
        )
    )
