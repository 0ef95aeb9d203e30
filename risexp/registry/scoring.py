"""MLflow's scoring server over one model, for the names it is known by and for JSON alone."""

import socket
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import uvicorn

from risexp.errors import EnvironmentFailed
from risexp.inference.answers import Answer
from risexp.registry.pyfunc import Model, PyFuncModel, load_model, scoring_app
from risexp.registry.served import Answering
from risexp.tracking.door import LOOPBACK, is_loopback

Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
Application = Callable[[Event, Receive, Send], Awaitable[None]]

PORT: Final = 5001
_PATHS: Final = frozenset({"/ping", "/health", "/version", "/invocations"})


@dataclass(frozen=True)
class Plain:
    """A model as the scoring server asks it, without MLflow's check of the signature.

    That one repeats all of the data in what it says; the model's own says what is wrong with it.
    """

    model: PyFuncModel

    @property
    def metadata(self) -> Model:
        """The model's signature, by which requests are read."""
        return self.model.metadata

    def predict(self, data: object, params: Mapping[str, Any] | None = None) -> list[Answer]:
        """The answer to each scene.

        Raises:
            Refused: The frames cannot be answered.
        """
        served: Answering = self.model.unwrap_python_model()  # type: ignore[no-untyped-call] # MLflow's
        return served.answered(data, params)


@dataclass(frozen=True)
class Entrance:
    """Lets through what is meant for this server.

    A page in somebody's browser can name any host that leads here, and can send a form anywhere;
    it cannot send JSON to a host of another name.
    """

    inner: Application
    hosts: frozenset[str] | None
    """Names in the Host header; None for any."""

    async def __call__(self, scope: Event, receive: Receive, send: Send) -> None:
        """Answer one request, or turn it away."""
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        if refusal is None:
            await self.inner(scope, receive, send)
            return
        status, sentence = refusal
        headers = [(b"content-type", b"text/plain; charset=utf-8")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": sentence.encode()})

    def _refusal(self, scope: Event) -> tuple[int, str] | None:
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        if self.hosts is not None and _host(headers.get("host", "")) not in self.hosts:
            return 403, "this server answers to its own address alone"
        if scope["path"] not in _PATHS:
            return 404, f"there are {', '.join(sorted(_PATHS))}"
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if scope["method"] == "POST" and kind != "application/json":
            return 415, "send JSON, and say so: Content-Type: application/json"
        return None


def listening(host: str, port: int | None) -> socket.socket:
    """A socket that hears from now on; what is asked before the model is loaded, waits.

    Args:
        host: An address or a name of this machine.
        port: None for the usual one, or any free one where that is taken; 0 for any free one.

    Raises:
        EnvironmentFailed: The port is taken, or the host is no name of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, PORT if port is None else port), family=family)
    except OSError as error:
        if port is None:
            return listening(host, 0)
        hint = f"--port 0 takes one in place of {port}" if port else "name one of this machine's"
        raise EnvironmentFailed(f"cannot listen at {host}: {error.strerror}; {hint}") from None


def address_of(heard: socket.socket) -> str:
    """Where a browser finds a socket."""
    host, port = heard.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def scoring_server(folder: Path, host: str) -> uvicorn.Server:
    """The server over the model in a folder; its `run` takes the socket, and returns when told to.

    Raises:
        ModelRefused: A file of the model is missing or was changed.
    """
    inner: Application = scoring_app(
        Plain(load_model(str(folder)))  # type: ignore[arg-type] # it asks for these two alone
    )
    hosts = frozenset(LOOPBACK) if is_loopback(host) else None
    return uvicorn.Server(
        uvicorn.Config(
            Entrance(inner, hosts),
            log_level="warning",
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=2,
        )
    )


def _host(header: str) -> str:
    """The name in a Host header, without a port."""
    name, _, port = header.rpartition(":")
    return (name if name and port.isdigit() else header).lower()
