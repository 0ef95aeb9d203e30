"""MLflow's server as a process of its own: behind a door, with links to the dashboard of studies.

It is told what it needs in one line of its standard input, which holds passwords and is in no list
of processes, and it ends when that input does: nobody has to look for one that was left over.
"""

import os
import re
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from pydantic import TypeAdapter

from risexp.runs.spec import EXPERIMENT
from risexp.tracking.stores import SETTINGS
from risexp.web.default_view import begun
from risexp.web.guard import HEADERS, GuardedRequest, GuardResponse, RequestGuard, host_of

if TYPE_CHECKING:
    import uvicorn

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Pages = Callable[[Scope, Receive, Send], Awaitable[None]]

STUDIES: Final = "/dashboard"
"""Where MLflow leads to the dashboard of studies."""
_TRIAL: Final = re.compile(rb"`(/dashboard/studies/[0-9]+/trials\?numbers=([0-9]+))`")
_STUDY: Final = re.compile(rb"`(/dashboard/studies/([0-9]+))`")
_ROOMS: Final = (
    "assistant|demo|gateway|gateway-proxy|genai|issues|jobs|mcp-servers|prompt-optimization|"
    "scorers?|webhooks"
)
_CLOSED: Final = re.compile(rf"/(?:ajax-)?api/[0-9.]+/(?:mlflow/)?(?:{_ROOMS})(?:/.*)?|/gateway/.*")
"""What runs programs, or talks to others, for whoever asks, and what such programs are made of."""
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f]")

_CAREFUL: Final = {name.lower().encode(): value.encode() for name, value in HEADERS} | {
    b"x-frame-options": b"SAMEORIGIN"  # MLflow shows files of a run in frames of its own
}


@dataclass(frozen=True)
class MlflowAppSettings:
    """What the process is told."""

    descriptor: int
    """Of the socket that listens."""
    door: RequestGuard
    backend: str = field(repr=False)
    """Of MLflow's store; it may hold a password."""
    artifacts: str
    """Where artifacts of new experiments go."""
    dashboard_port: int | None
    """Where the dashboard listens on the same host; None where it does not."""


TOLD: Final = TypeAdapter(MlflowAppSettings)


def main() -> None:
    """Serve until the standard input ends, or a signal comes."""
    told = TOLD.validate_json(sys.stdin.buffer.readline())
    # Before MLflow's application is imported, which reads it.
    os.environ.update({**SETTINGS, **settings(told.door)})
    server = _server(told)

    def left() -> None:
        while os.read(sys.stdin.fileno(), 1):
            pass
        server.should_exit = True

    threading.Thread(target=left, name="left", daemon=True).start()
    server.run(sockets=[socket.socket(fileno=told.descriptor)])


def settings(door: RequestGuard) -> dict[str, str]:
    """What MLflow's application reads when it is imported: whom it answers, and no jobs.

    The door has judged by then; this is what it would do alone.
    """
    names = [each for name in door.names for each in (name, f"{name.replace('[', '[[]')}:*")]
    numbers = ["[0-9]*.[0-9]*.[0-9]*.[0-9]*", "[[]*:*"] if door.addresses else []
    return {
        "MLFLOW_SERVER_ALLOWED_HOSTS": ",".join(names + numbers),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_ENABLE_REMOTE_ASSISTANT": "false",
    }


def _server(told: MlflowAppSettings) -> "uvicorn.Server":
    import uvicorn
    from mlflow.server import constants

    os.environ |= {
        constants.BACKEND_STORE_URI_ENV_VAR: told.backend,
        constants.REGISTRY_STORE_URI_ENV_VAR: told.backend,
        constants.ARTIFACT_ROOT_ENV_VAR: "mlflow-artifacts:/",
        constants.ARTIFACTS_DESTINATION_ENV_VAR: told.artifacts,
        constants.SERVE_ARTIFACTS_ENV_VAR: "true",
    }
    from mlflow import MlflowClient
    from mlflow.server.fastapi_app import app

    known = MlflowClient(told.backend, told.backend).get_experiment_by_name(EXPERIMENT)
    experiment = None if known is None else str(known.experiment_id)
    config = uvicorn.Config(
        Guarded(Linked(app, told.dashboard_port, experiment), told.door),
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=2,
    )
    return uvicorn.Server(config)


class Guarded:
    """Every request goes through the door, and no answer is for a page of another origin."""

    def __init__(self, pages: Pages, door: RequestGuard) -> None:
        """Put an application behind a door."""
        self._pages = pages
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as ASGI has it."""
        if scope["type"] == "lifespan":
            await self._pages(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000})
            return

        async def careful(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = message.get("headers", [])
                kept = [each for each in given if each[0].lower() not in _CAREFUL]
                message["headers"] = [*kept, *_CAREFUL.items()]
            await send(message)

        stopped = self._door.stops(_asked(scope)) or _closed(scope["path"])
        if stopped is not None:
            await _say(stopped, careful)
            return
        # MLflow answers pages of any port of this machine, and no page of another one.
        kept = [each for each in scope["headers"] if each[0] != b"origin"]
        await self._pages({**scope, "headers": kept}, receive, careful)


class Linked:
    """Turns the words that name a page of the dashboard into links, and leads there."""

    def __init__(self, pages: Pages, port: int | None, experiment: str | None) -> None:
        """Link pages.

        Args:
            pages: MLflow's application.
            port: Where the dashboard listens; None: it does not.
            experiment: Whose runs a browser that comes for the first time sees, best first.
        """
        self._pages = pages
        self._port = port
        self._begun = partial(begun, experiment=experiment)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as ASGI has it."""
        path = scope.get("path", "")
        if path == "/":
            await self._pages(scope, receive, _changing(send, b"text/html", self._begun))
        elif scope["type"] != "http" or self._port is None:
            await self._pages(scope, receive, send)
        elif path == STUDIES or path.startswith(f"{STUDIES}/"):
            host = host_of(_asked(scope).host)
            query = scope["query_string"].decode("latin-1")
            place = f"http://{host}:{self._port}{quote(path)}{'?' if query else ''}{query}"
            await _say(GuardResponse(HTTPStatus.FOUND, headers=(("Location", place),)), send)
        else:
            await self._pages(scope, receive, _changing(send, b"application/json", _linked))


def _linked(document: bytes) -> bytes:
    """With links to the pages of the dashboard that its notes name."""
    linked = _TRIAL.sub(rb"[trial \2](\1)", document)
    return _STUDY.sub(rb"[study \2](\1)", linked)


def _changing(send: Send, kind: bytes, change: Callable[[bytes], bytes]) -> Send:
    """Hold answers of a kind back until they are whole, and change them."""
    held: list[Message] = []
    chunks: list[bytes] = []

    async def changing(message: Message) -> None:
        if message["type"] == "http.response.start" and _is(kind, message):
            held.append(message)
            return
        if not held or message["type"] != "http.response.body":
            await send(message)
            return
        chunks.append(message.get("body", b""))
        if message.get("more_body", False):
            return
        body = change(b"".join(chunks))
        start = held.pop()
        kept = [each for each in start["headers"] if each[0].lower() != b"content-length"]
        start["headers"] = [*kept, (b"content-length", str(len(body)).encode())]
        await send(start)
        await send({"type": "http.response.body", "body": body})

    return changing


def _is(kind: bytes, start: Message) -> bool:
    headers = {name.lower(): value for name, value in start.get("headers", [])}
    plain = b"content-encoding" not in headers and start["status"] == HTTPStatus.OK
    return plain and headers.get(b"content-type", b"").startswith(kind)


def _closed(path: str) -> GuardResponse | None:
    if _UNPRINTABLE.search(path):
        return GuardResponse(HTTPStatus.BAD_REQUEST, "no page has such an address")
    if _CLOSED.fullmatch(path):
        return GuardResponse(HTTPStatus.FORBIDDEN, "nothing is run for a page here")
    return None


async def _say(answer: GuardResponse, send: Send) -> None:
    body = f"{answer.sentence}\n".encode() if answer.sentence else b""
    headers = [
        *answer.headers,
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Length", str(len(body))),
    ]
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    await send({"type": "http.response.start", "status": answer.status.value, "headers": raw})
    await send({"type": "http.response.body", "body": body})


def _asked(scope: Scope) -> GuardedRequest:
    told: dict[bytes, list[str]] = {}
    for name, value in scope["headers"]:
        told.setdefault(name.lower(), []).append(value.decode("latin-1"))
    origin = told.get(b"origin")
    return GuardedRequest(
        method=scope["method"],
        path=scope["path"],
        query=scope["query_string"].decode("latin-1"),
        host=", ".join(told.get(b"host", [])),
        origin=None if origin is None else ", ".join(origin),
        authorization=", ".join(told.get(b"authorization", [])),
        cookie="; ".join(told.get(b"cookie", [])),
        scheme=", ".join(told.get(b"x-forwarded-proto", ["http"])),
    )


if __name__ == "__main__":
    main()
