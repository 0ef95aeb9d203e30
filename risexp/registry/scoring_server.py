"""MLflow's scoring server over one model: behind a guard, for JSON alone."""

import json
import socket
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from risexp.errors import EnvironmentFailed
from risexp.inference.estimate import Answer
from risexp.registry.pyfunc_model import (
    Model,
    PredictHandler,
    PyFuncModel,
    load_model,
    scoring_app,
)
from risexp.web.connections import CONNECTION_LIMITS, ConnectionLimits, WebServer, server_config
from risexp.web.guard import RequestGuard
from risexp.web.guarded_app import GuardedApp, content_type, read_body
from risexp.web.request_queue import QueueLimits, RequestQueue

PORT: Final = 5001
LARGEST: Final = 64 << 20
"""Largest request, in bytes."""
QUEUE_LIMITS: Final = QueueLimits(running=8)
"""Predictions at once: each of them uses several cores."""
_JSON: Final = "application/json"
_LONGEST: Final = 300
"""Longest error sentence, in characters."""
_PATHS: Final = frozenset({"/ping", "/health", "/version", "/invocations"})


@dataclass(frozen=True)
class UncheckedModel:
    """A model as the scoring server calls it, without MLflow's check of the signature.

    MLflow's check repeats all of the data in its error; the model's own error says what is wrong.
    """

    model: PyFuncModel

    @property
    def metadata(self) -> Model:
        """The model's signature, by which requests are parsed."""
        return self.model.metadata

    def predict(self, data: object, params: object = None) -> list[Answer]:
        """Answer each scene."""
        handler: PredictHandler = self.model.unwrap_python_model()  # type: ignore[no-untyped-call] # MLflow's
        return handler.answer(data, params)


@dataclass(frozen=True)
class JsonGate:
    """Lets only JSON of limited size through, and turns each error into one sentence.

    MLflow's errors contain the request's data and paths of its own files. A page in a browser can
    send a form to any host; it cannot send JSON to a host of another name.
    """

    inner: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it."""
        request = Request(scope, receive)
        try:
            response = _refusal(request) or await self._answer(request)
        except ClientDisconnect:
            return
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        reads = request.method != "POST"
        body = bytearray() if reads else await read_body(request, LARGEST)
        if body is None:
            reason = f"a request has at most {LARGEST >> 20} MiB: send the scenes in several"
            return PlainTextResponse(reason, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        if not reads and not _is_text(body):
            return _error(b"the request is no JSON")
        unread: list[Message] = [{"type": "http.request", "body": bytes(body)}]
        events: list[Message] = []

        async def receive() -> Message:
            return unread.pop() if unread else await request.receive()

        async def send(event: Message) -> None:
            events.append(event)

        try:
            await self.inner(request.scope, receive, send)
        except Exception:  # noqa: BLE001 - a request that breaks the parser is a bad request
            return _error(b"the request cannot be read")
        status, content = events[0]["status"], b"".join(event["body"] for event in events[1:])
        if status < HTTPStatus.BAD_REQUEST:
            return Response(content, status, media_type=_JSON)
        return _error(content, status)


def _refusal(request: Request) -> Response | None:
    if request.scope["path"] not in _PATHS:
        return PlainTextResponse(f"there are {', '.join(sorted(_PATHS))}", HTTPStatus.NOT_FOUND)
    if request.method == "POST" and content_type(request) != _JSON:
        return PlainTextResponse(
            "send JSON, and say so: Content-Type: application/json",
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        )
    return None


def _is_text(body: bytearray) -> bool:
    try:
        return bool(body.decode().strip())
    except UnicodeDecodeError:
        return False


def _error(content: bytes, status: int = HTTPStatus.BAD_REQUEST) -> Response:
    """Answer with the first sentence of an error, without the data and paths behind it."""
    message, code = content.decode(errors="replace"), "BAD_REQUEST"
    with suppress(ValueError, LookupError, TypeError):  # else the content is the sentence itself
        document = json.loads(content)
        message, code = str(document["message"]), str(document["error_code"])
    sentence = message.strip().partition("\n")[0][:_LONGEST]
    document = json.dumps({"error_code": code, "message": sentence})
    return Response(document, status, media_type=_JSON)


def open_socket(host: str, port: int | None) -> socket.socket:
    """Open a socket that listens; requests wait there until the model is loaded.

    Without a port it is 5001, or any free one if that is taken; 0 is any free one.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, PORT if port is None else port), family=family)
    except OSError as error:
        if port is None:
            return open_socket(host, 0)
        hint = f"--port 0 takes one in place of {port}" if port else "name one of this machine's"
        raise EnvironmentFailed(f"cannot listen at {host}: {error.strerror}; {hint}") from None


def socket_address(listener: socket.socket) -> str:
    """The address of a socket, as a browser opens it."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def scoring_server(
    folder: Path,
    guard: RequestGuard,
    limits: ConnectionLimits = CONNECTION_LIMITS,
    queue_limits: QueueLimits = QUEUE_LIMITS,
) -> WebServer:
    """Build the server over the model in a folder, behind a guard."""
    inner: ASGIApp = scoring_app(
        UncheckedModel(load_model(str(folder)))  # type: ignore[arg-type] # it needs these two alone
    )
    app = GuardedApp(
        JsonGate(inner), guard, queue=RequestQueue(queue_limits), is_instant=_is_no_prediction
    )
    return WebServer(server_config(app, limits=limits, lifespan="off"))


def _is_no_prediction(scope: Scope) -> bool:
    """True for a question such as `/ping`, which may not wait behind predictions."""
    return bool(scope["method"] != "POST")
