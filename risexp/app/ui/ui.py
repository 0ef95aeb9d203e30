"""Shows runs in MLflow and studies in optuna-dashboard, linked to each other, until it is ended."""

import errno
import http.client
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from risexp.app.ui.host_names import expect_host, host_name
from risexp.app.ui.secret_files import token_at
from risexp.app.ui.ui_stores import AvailableStores, Page
from risexp.core.signals import SignalHandler
from risexp.errors import EnvironmentFailed
from risexp.hpo.store.store import StudyStore as Studies
from risexp.web.dashboard_app import Server, dashboard
from risexp.web.guard import RequestGuard, door_at, written
from risexp.web.mlflow_process import MlflowServer

TOKEN: Final = "RISEXP_UI_TOKEN"  # noqa: S105 - the name of a variable
"""Names the token in the environment; off loopback one is made where there is none."""
PORTS: Final = {"mlflow": 5000, "dashboard": 8080}
"""Where they listen if nobody else does."""
_START_S: Final = 120.0
"""How long they may take until they answer."""
_LOOK_S: Final = 0.2
_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - a person asks for it
_ASKED: Final = {
    "mlflow": ("POST", "/ajax-api/2.0/mlflow/experiments/search", '{"max_results": 1}'),
    "dashboard": ("GET", "/api/studies", None),
}
"""A request of each that it answers only if its store does."""


@dataclass(frozen=True)
class UiRequest:
    """What is to be shown, and where."""

    only: Page | None = None
    host: str = "127.0.0.1"
    port: int | None = None
    """Of MLflow; None: a free one."""
    dashboard_port: int | None = None
    """Of the dashboard; None: a free one."""
    names: tuple[str, ...] = ()
    """Host names that lead here, besides those of this machine."""
    writable: bool = False
    """Whether studies may be changed."""
    tracking: str | None = None
    """Where runs are recorded, as on a command line."""


@dataclass(frozen=True)
class ServedPages:
    """Where a person finds what."""

    mlflow: str | None
    dashboard: str | None
    elsewhere: str | None
    """A tracking server that shows the runs itself."""
    token: str | None = field(repr=False)
    """One that was made for this time; a token that was given is shown nowhere."""
    notes: tuple[str, ...]
    """What is not shown, and why."""

    def as_json(self) -> dict[str, Any]:
        """What a script needs to open them."""
        return {
            "mlflow": self.mlflow or self.elsewhere,
            "dashboard": self.dashboard,
            "token": self.token,
            "notes": [*self.notes],
        }


def serve(wanted: UiRequest, ready: Callable[[ServedPages], None]) -> None:
    """Serve until a signal asks to end.

    Args:
        wanted: What, and where.
        ready: Told once all that is shown answers.

    Raises:
        InvalidInput: There is nothing to show, or the token or a name is none.
        EnvironmentFailed: A port is taken, a store does not answer, or a server ended by itself.
    """
    expect_host(wanted.host)
    names = tuple(host_name(name, "--allow-host") for name in wanted.names)
    wanted = replace(wanted, names=names)
    with ExitStack() as stack:
        asked = threading.Event()
        stack.enter_context(SignalHandler(lambda _: asked.set()))
        token, made = token_at(wanted.host, TOKEN)
        found = AvailableStores.under(wanted.only, wanted.tracking)
        if found.studies is not None:
            stack.callback(found.studies.close)
        shown = _Pages(wanted, found, token)
        stack.callback(shown.stop)
        shown.start()
        if shown.answer(asked):
            ready(shown.told(token if made else None))
        while not asked.wait(_LOOK_S):
            shown.expect_alive()


class _Servant(Protocol):
    """Something that serves one kind of page."""

    def died(self) -> str | None:
        """In a sentence how it ended by itself; None while it has not."""

    def stop(self) -> None:
        """End it."""


class _Dashboard:
    """The dashboard, served by a thread of this process."""

    def __init__(
        self, store: Studies, listening: socket.socket, door: RequestGuard, port: int | None
    ) -> None:
        self._server = Server(listening, dashboard(store, door, port))
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": _LOOK_S}, daemon=True
        )
        self._thread.start()

    def died(self) -> str | None:
        return None if self._thread.is_alive() else "the dashboard's server ended by itself"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Pages:
    """The servers of all pages, together."""

    def __init__(self, wanted: UiRequest, found: AvailableStores, token: str) -> None:
        self._wanted = wanted
        self._found = found
        self._token = token
        self._servants: list[_Servant] = []
        there = {"mlflow": found.runs is not None, "dashboard": found.studies is not None}
        asked = {"mlflow": wanted.port, "dashboard": wanted.dashboard_port}
        self._listening = {
            name: _listen(wanted.host, asked[name], PORTS[name]) for name in there if there[name]
        }
        self._ports = {name: each.getsockname()[1] for name, each in self._listening.items()}

    def start(self) -> None:
        """Start what there is to be shown."""
        wanted, ports = self._wanted, self._ports
        door = partial(door_at, wanted.host, wanted.names, self._token)
        if self._found.runs is not None:
            # In MLflow's pages even reading is a POST.
            open_door, listening = door(writable=True), self._listening.pop("mlflow")
            beside = ports.get("dashboard")
            self._servants.append(MlflowServer(self._found.runs, listening, open_door, beside))
        if self._found.studies is not None:
            own_door, listening = door(writable=wanted.writable), self._listening.pop("dashboard")
            beside = ports.get("mlflow")
            self._servants.append(_Dashboard(self._found.studies, listening, own_door, beside))

    def answer(self, asked: threading.Event) -> bool:
        """Wait until all of them do; False where somebody asks to end before.

        Raises:
            EnvironmentFailed: One ended by itself, or does not answer.
        """
        limit = time.monotonic() + _START_S
        left = [*self._ports]
        while left and not asked.wait(_LOOK_S):
            self.expect_alive()
            left = [name for name in left if not self._answers(name)]
            if left and time.monotonic() > limit:
                raise EnvironmentFailed(
                    f"{left[0]} does not answer after {_START_S:.0f} s: see what else this "
                    "machine does, and try again"
                )
        return not left

    def _answers(self, name: str) -> bool:
        host = _EVERYWHERE.get(self._wanted.host, self._wanted.host)
        method, path, body = _ASKED[name]
        # As a browser will ask that is led there.
        led = urlsplit(_address(self._wanted.host, self._ports[name])).netloc
        headers = {"Host": led, "Content-Type": "application/json"}
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

    def told(self, token: str | None) -> ServedPages:
        """Where they are."""
        places = {name: _address(self._wanted.host, port) for name, port in self._ports.items()}
        found = self._found
        return ServedPages(
            places.get("mlflow"), places.get("dashboard"), found.elsewhere, token, found.notes
        )

    def expect_alive(self) -> None:
        """See that none ended by itself.

        Raises:
            EnvironmentFailed: One did.
        """
        for each in self._servants:
            if sentence := each.died():
                raise EnvironmentFailed(sentence)

    def stop(self) -> None:
        """End all of them."""
        for each in self._servants:
            each.stop()
        for listening in self._listening.values():
            listening.close()


def _listen(host: str, asked: int | None, usual: int) -> socket.socket:
    """A socket at the port that was asked for, or at the usual one, or at any that is free.

    Raises:
        EnvironmentFailed: It cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listen = partial(socket.create_server, family=family, backlog=64)
    try:
        try:
            return listen((host, asked or usual))
        except OSError as error:
            if asked is not None or error.errno != errno.EADDRINUSE:
                raise
            return listen((host, 0))
    except OSError as error:
        raise EnvironmentFailed(
            f"cannot listen at {host}, port {asked or usual}: {error.strerror}; name another one"
        ) from None


def _address(host: str, port: int) -> str:
    """As a browser writes it."""
    name = socket.gethostname() if host in _EVERYWHERE else host
    return f"http://{written(name)}:{port}"
