"""Serves MLflow and optuna-dashboard, linked to each other, until a signal comes."""

import errno
import http.client
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

from risexp.app.ui.access import expect_host, host_name, token_at
from risexp.app.ui.ui_stores import AvailableStores, Page
from risexp.core.signals import SignalHandler
from risexp.errors import EnvironmentFailed
from risexp.web.dashboard_app import DashboardServer
from risexp.web.guard import bracketed, guard_at
from risexp.web.mlflow_server import MlflowServer

TOKEN: Final = "RISEXP_UI_TOKEN"  # noqa: S105 - the name of a variable
"""Environment variable with the token; off loopback one is made if it is not set."""
PORTS: Final = {"mlflow": 5000, "dashboard": 8080}
"""Usual ports, used if they are free."""
_START_S: Final = 120.0
"""Longest time until both pages answer."""
_CHECK_S: Final = 0.2
_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - a person asks for it
_PROBES: Final = {
    "mlflow": ("POST", "/ajax-api/2.0/mlflow/experiments/search", '{"max_results": 1}'),
    "dashboard": ("GET", "/api/studies", None),
}
"""A request of each page that succeeds only if its store answers."""


@dataclass(frozen=True)
class UiRequest:
    """What to show, and where."""

    only: Page | None = None
    host: str = "127.0.0.1"
    port: int | None = None
    """Of MLflow; None: a free one."""
    dashboard_port: int | None = None
    """Of the dashboard; None: a free one."""
    names: tuple[str, ...] = ()
    writable: bool = False
    tracking: str | None = None


@dataclass(frozen=True)
class ServedPages:
    """Addresses of the pages."""

    mlflow: str | None
    dashboard: str | None
    elsewhere: str | None
    """A tracking server that shows the runs itself."""
    token: str | None = field(repr=False)
    """A token that was made here; a token of the user is not shown."""
    notes: tuple[str, ...]
    """What is not shown, and why."""

    def as_json(self) -> dict[str, Any]:
        """The document for scripts."""
        return {
            "mlflow": self.mlflow or self.elsewhere,
            "dashboard": self.dashboard,
            "token": self.token,
            "notes": [*self.notes],
        }


def serve(request: UiRequest, ready: Callable[[ServedPages], None]) -> None:
    """Serve until a signal comes."""
    expect_host(request.host)
    names = tuple(host_name(name, "--allow-host") for name in request.names)
    request = replace(request, names=names)
    with ExitStack() as stack:
        stop = threading.Event()
        stack.enter_context(SignalHandler(lambda _: stop.set()))
        token, made = token_at(request.host, TOKEN)
        stores = AvailableStores.under(request.only, request.tracking)
        if stores.studies is not None:
            stack.callback(stores.studies.close)
        pages = _Pages(request, stores, token)
        stack.callback(pages.stop)
        pages.start()
        if pages.wait_for_answers(stop):
            ready(pages.served(token if made else None))
        while not stop.wait(_CHECK_S):
            pages.expect_alive()


class _Pages:
    """The servers of all pages."""

    def __init__(self, request: UiRequest, stores: AvailableStores, token: str) -> None:
        self._request = request
        self._stores = stores
        self._token = token
        self._servers: list[MlflowServer | DashboardServer] = []
        shown = {"mlflow": stores.runs is not None, "dashboard": stores.studies is not None}
        ports = {"mlflow": request.port, "dashboard": request.dashboard_port}
        self._listening = {
            name: _listen(request.host, ports[name], PORTS[name]) for name in shown if shown[name]
        }
        self._ports = {name: one.getsockname()[1] for name, one in self._listening.items()}

    def start(self) -> None:
        """Start the servers."""
        request, stores = self._request, self._stores
        guard = partial(guard_at, request.host, request.names, self._token)
        mlflow_port, dashboard_port = self._ports.get("mlflow"), self._ports.get("dashboard")
        if stores.runs is not None:
            listening = self._listening.pop("mlflow")
            # In MLflow's pages even reading is a POST.
            server = MlflowServer(stores.runs, listening, guard(writable=True), dashboard_port)
            self._servers.append(server)
        if stores.studies is not None:
            listening = self._listening.pop("dashboard")
            own = guard(writable=request.writable)
            self._servers.append(DashboardServer(stores.studies, listening, own, mlflow_port))

    def wait_for_answers(self, stop: threading.Event) -> bool:
        """Wait until all pages answer; False if a signal comes before."""
        limit = time.monotonic() + _START_S
        left = [*self._ports]
        while left and not stop.wait(_CHECK_S):
            self.expect_alive()
            left = [name for name in left if not self._answers(name)]
            if left and time.monotonic() > limit:
                raise EnvironmentFailed(
                    f"{left[0]} does not answer after {_START_S:.0f} s: see what else this "
                    "machine does, and try again"
                )
        return not left

    def _answers(self, name: str) -> bool:
        host = _EVERYWHERE.get(self._request.host, self._request.host)
        method, path, body = _PROBES[name]
        # The Host of a browser that opens the printed address.
        printed = urlsplit(_address(self._request.host, self._ports[name])).netloc
        headers = {"Host": printed, "Content-Type": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        connection = http.client.HTTPConnection(host, self._ports[name], timeout=10.0)
        try:
            connection.request(method, path, body, headers)
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def served(self, token: str | None) -> ServedPages:
        """The addresses."""
        pages = {name: _address(self._request.host, port) for name, port in self._ports.items()}
        mlflow, dashboard, stores = pages.get("mlflow"), pages.get("dashboard"), self._stores
        return ServedPages(mlflow, dashboard, stores.elsewhere, token, stores.notes)

    def expect_alive(self) -> None:
        """Check that no server ended by itself."""
        for server in self._servers:
            if sentence := server.died():
                raise EnvironmentFailed(sentence)

    def stop(self) -> None:
        """End all servers."""
        for server in self._servers:
            server.stop()
        for listening in self._listening.values():
            listening.close()


def _listen(host: str, port: int | None, usual: int) -> socket.socket:
    """A socket at the given port, or else at the usual one or any free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listen = partial(socket.create_server, family=family, backlog=64)
    try:
        try:
            return listen((host, port or usual))
        except OSError as error:
            if port is not None or error.errno != errno.EADDRINUSE:
                raise
            return listen((host, 0))
    except OSError as error:
        raise EnvironmentFailed(
            f"cannot listen at {host}, port {port or usual}: {error.strerror}; name another one"
        ) from None


def _address(host: str, port: int) -> str:
    name = socket.gethostname() if host in _EVERYWHERE else host
    return f"http://{bracketed(name)}:{port}"
