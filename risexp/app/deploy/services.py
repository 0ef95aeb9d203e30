"""Commands of a deployment's services: health checks, and MLflow with passwords."""

import http.client
import os
import socket
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from risexp.app.ui.access import expect_host, host_name, secret_in, token_of
from risexp.errors import EnvironmentFailed, InvalidInput
from risexp.web.guard import is_loopback

TOKEN: Final = "RISEXP_UI_TOKEN"  # noqa: S105 - the name of a variable
STORE: Final = "RISEXP_STORE"
"""As in the workers' module, whose import takes seconds: a check runs every minute."""
_TIMEOUT_S: Final = 10.0


def check_page(address: str) -> None:
    """Check that a page of this machine answers, with the token if one is set."""
    host, port, path = _local_page(address)
    token = token_of(TOKEN)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_S)
    with closing(connection):
        try:
            connection.request("GET", path, headers=headers)
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            raise EnvironmentFailed(f"{address} does not answer: {error}") from None
    if status != http.client.OK:
        raise EnvironmentFailed(f"{address} answers with {status}")


def _local_page(address: str) -> tuple[str, int | None, str]:
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    if parts.scheme != "http" or not host or not is_loopback(host):
        raise InvalidInput(
            f"--page {address}: give an address such as http://127.0.0.1:5000/health"
        )
    return host, port, parts.path or "/"


def check_study(name: str) -> None:
    """Check that a study accepts writes, and that this host's workers renew their leases."""
    from risexp.hpo.store.leases import TTL_S, Leases
    from risexp.hpo.store.retry import Retry
    from risexp.hpo.store.store import find_store
    from risexp.hpo.studies.study import find_study

    address = os.environ.get(STORE) or None
    with closing(find_store(address, retry=Retry("", limit_s=_TIMEOUT_S))) as store:
        leases = Leases(store, find_study(store, name).uid).look()
    here = socket.gethostname()
    for lease in leases.living:
        # Other workers take a trial over after one TTL; a new worker may have started meanwhile.
        if lease.host == here and leases.now - lease.expires_at > TTL_S:
            raise EnvironmentFailed(
                f"the worker with process {lease.pid} has not renewed its lease on {lease.run_id}"
            )


@dataclass(frozen=True)
class MlflowOptions:
    """Options of `risexp deploy mlflow`."""

    backend: str
    artifacts: Path
    key_file: Path
    host: str
    port: int
    dashboard_port: int | None
    names: tuple[str, ...]


def serve_mlflow(options: MlflowOptions) -> None:
    """Serve MLflow with passwords until a signal ends it."""
    from risexp.tracking.stores import store_named
    from risexp.web.mlflow_server import AUTH, Service, serve

    expect_host(options.host)
    names = tuple(host_name(name, "--allow-host") for name in options.names)
    store = store_named(options.backend)
    if store.database is not None or store.artifacts is None:
        raise InvalidInput(
            f"--backend {store.name}: give a PostgreSQL database, postgresql://user@host/name"
        )
    if not Path(os.environ.get(AUTH, "")).is_file():
        raise InvalidInput(
            f"{AUTH} names no file: it holds MLflow's first account, as `risexp deploy init` "
            "writes it into secrets/mlflow_auth"
        )
    if not options.artifacts.is_dir():
        raise InvalidInput(f"--artifacts {options.artifacts} is no folder")
    serve(
        Service(
            store=store,
            artifacts=options.artifacts,
            host=options.host,
            port=options.port,
            names=names,
            dashboard_port=options.dashboard_port,
            key=secret_in(options.key_file),
        )
    )
