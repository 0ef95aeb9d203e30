"""MLflow's scoring server over one model, for the names it is known by and for JSON alone."""

import json
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import uvicorn

from risexp.errors import EnvironmentFailed
from risexp.inference.estimate import Answer
from risexp.registry.pyfunc import Model, PyFuncModel, load_model, scoring_app
from risexp.registry.pyfunc_model import PredictHandler
from risexp.web.guard import RequestGuard
from risexp.web.mlflow_app import Guarded

Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
Application = Callable[[Event, Receive, Send], Awaitable[None]]

PORT: Final = 5001
LARGEST: Final = 64 << 20
"""Bytes of one request."""
CONNECTIONS: Final = 32
"""How many may be open at once."""
_JSON: Final = "application/json"
_TOO_LONG: Final = (413, f"a request has at most {LARGEST >> 20} MiB: send the scenes in several")
_LONGEST: Final = 300
"""Characters of a sentence."""
_PATHS: Final = frozenset({"/ping", "/health", "/version", "/invocations"})


@dataclass(frozen=True)
class UncheckedModel:
    """A model as the scoring server asks it, without MLflow's check of the signature.

    That one repeats all of the data in what it says; the model's own says what is wrong with it.
    """

    model: PyFuncModel

    @property
    def metadata(self) -> Model:
        """The model's signature, by which requests are read."""
        return self.model.metadata

    def predict(self, data: object, params: object = None) -> list[Answer]:
        """The answer to each scene.

        Raises:
            Refused: The frames cannot be answered.
        """
        served: PredictHandler = self.model.unwrap_python_model()  # type: ignore[no-untyped-call] # MLflow's
        return served.answered(data, params)


@dataclass(frozen=True)
class JsonGate:
    """Lets JSON through that is not too long, and says in one sentence what cannot be answered.

    What MLflow says holds the data that was sent, and where its files lie. A page in somebody's
    browser can send a form anywhere; it cannot send JSON to a host of another name.
    """

    inner: Application

    async def __call__(self, scope: Event, receive: Receive, send: Send) -> None:
        """Answer one request, or turn it away."""
        refusal = _refusal(scope)
        body = await _body(receive) if refusal is None else None
        if body is None:
            status, sentence = refusal or _TOO_LONG
            await _send(send, status, "text/plain; charset=utf-8", sentence.encode())
        elif scope["method"] == "POST" and not _is_text(body):
            await _send(send, 400, _JSON, _told(b"the request is no JSON"))
        else:
            await self._asked(scope, _again(body, receive), send)

    async def _asked(self, scope: Event, receive: Receive, send: Send) -> None:
        held: list[Event] = []

        async def hold(event: Event) -> None:
            held.append(event)

        try:
            await self.inner(scope, receive, hold)
        except Exception:  # noqa: BLE001 - a request that its reader stumbles over is no answer
            await _send(send, 400, _JSON, _told(b"the request cannot be read"))
            return
        status = held[0]["status"]
        content = b"".join(event.get("body", b"") for event in held[1:])
        await _send(send, status, _JSON, content if status < 400 else _told(content))


def _refusal(scope: Event) -> tuple[int, str] | None:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    if scope["path"] not in _PATHS:
        return 404, f"there are {', '.join(sorted(_PATHS))}"
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if scope["method"] == "POST" and kind != _JSON:
        return 415, "send JSON, and say so: Content-Type: application/json"
    return _TOO_LONG if int(headers.get("content-length", "0")) > LARGEST else None


async def _body(receive: Receive) -> bytes | None:
    """What is sent; None where it is too long."""
    chunks, size, more = list[bytes](), 0, True
    while more:
        event = await receive()
        chunks.append(event.get("body", b""))
        size += len(chunks[-1])
        if size > LARGEST:
            return None
        more = event.get("more_body", False)
    return b"".join(chunks)


def _again(body: bytes, receive: Receive) -> Receive:
    """What was received once, for another one who asks."""
    whole: list[Event] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receiving() -> Event:
        return whole.pop() if whole else await receive()

    return receiving


def _is_text(body: bytes) -> bool:
    try:
        return bool(body.decode().strip())
    except UnicodeDecodeError:
        return False


def _told(content: bytes) -> bytes:
    """The first sentence of what is wrong, without the data and the places behind it."""
    message, code = content.decode(errors="replace"), "BAD_REQUEST"
    with suppress(ValueError, LookupError, TypeError):  # else it is the sentence itself
        document = json.loads(content)
        message, code = str(document["message"]), str(document["error_code"])
    sentence = message.strip().partition("\n")[0][:_LONGEST]
    return json.dumps({"error_code": code, "message": sentence}).encode()


async def _send(send: Send, status: int, kind: str, content: bytes) -> None:
    headers = [(b"content-type", kind.encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


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


def scoring_server(folder: Path, door: RequestGuard) -> uvicorn.Server:
    """The server over the model in a folder, behind a door.

    Its `run` takes the socket, and returns when told to.

    Raises:
        ModelRefused: A file of the model is missing or was changed.
    """
    inner: Application = scoring_app(
        UncheckedModel(load_model(str(folder)))  # type: ignore[arg-type] # it asks for these two alone
    )
    return uvicorn.Server(
        uvicorn.Config(
            Guarded(JsonGate(inner), door),
            limit_concurrency=CONNECTIONS,
            log_level="warning",
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=2,
        )
    )
