"""The one ASGI application in front of every web page: guard, response headers, links.

`GuardedApp` applies the rules of `web.guard` to every request, and careful headers to every
response. `LinkedApp` leads from one user interface to the other one.
"""

import json
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from risexp.web.guard import HEADERS, GuardResponse, RequestGuard, host_of
from risexp.web.request_queue import QueueFull, RequestQueue

_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f]")
_POLICY: Final = "Content-Security-Policy"
_CLOSED: Final = "default-src 'none'"
_UNFRAMED: Final = "frame-ancestors 'none'"
_BUSY: Final = GuardResponse(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "too many requests wait here: send this one again in a few seconds",
    (("Retry-After", "5"),),
)

Rewrite = tuple[str, Callable[[bytes], bytes]]
"""The content type of bodies to change, and the change."""


@dataclass(frozen=True)
class GuardedApp:
    """Passes a request on only if the guard lets it in, and sets headers on every response."""

    pages: ASGIApp
    guard: RequestGuard
    is_blocked: Callable[[str], bool] = lambda _path: False
    """True for a path that nothing may request."""
    own_frames: bool = False
    """True if the pages show frames of themselves; else no page may show them in a frame."""
    json_prefix: str | None = None
    """Paths under which the guard answers in JSON, as the pages' own scripts expect."""
    failure: str | None = None
    """Sentence in place of the body of every response with status 500."""
    queue: RequestQueue = field(default_factory=RequestQueue)
    """Where requests wait that the guard has let in."""
    is_instant: Callable[[Scope], bool] = lambda _scope: False
    """True for a request that costs nothing and needs no place in the queue."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request as ASGI requires."""
        if scope["type"] == "lifespan":
            await self.pages(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000})
            return

        async def send_carefully(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": self._careful(message.get("headers", []))}
            await send(message)

        response = self._stopped(scope)
        if response is not None:
            await self._respond(response, scope, receive, send_carefully)
            return
        # The pages may trust other origins than the guard does, so they see none.
        kept = [pair for pair in scope["headers"] if pair[0].lower() != b"origin"]
        answer = self._without_failures(scope, receive, send_carefully)
        await self._answer({**scope, "headers": kept}, receive, answer)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request in its turn; a client that leaves needs no answer."""
        if self.is_instant(scope):
            await self.pages(scope, receive, send)
            return
        with suppress(ClientDisconnect):
            try:
                async with self.queue.place(receive) as body:
                    await self.pages(scope, body, send)
            except QueueFull:
                await self._respond(_BUSY, scope, receive, send)

    def _stopped(self, scope: Scope) -> GuardResponse | None:
        response = self.guard.stops(Request(scope))
        if response is not None:
            return response
        if _UNPRINTABLE.search(scope["path"]):
            return GuardResponse(HTTPStatus.BAD_REQUEST, "no page has such an address")
        if self.is_blocked(scope["path"]):
            return GuardResponse(HTTPStatus.FORBIDDEN, "nothing is run for a page here")
        return None

    def _careful(self, raw: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        headers = MutableHeaders(raw=list(raw))
        for name, value in HEADERS:
            headers[name] = value
        if self.own_frames:
            headers["X-Frame-Options"] = "SAMEORIGIN"
        else:
            headers[_POLICY] = f"{headers.get(_POLICY, _CLOSED)};{_UNFRAMED}"
        return headers.raw

    def _without_failures(self, scope: Scope, receive: Receive, send: Send) -> Send:
        if self.failure is None:
            return send
        response = GuardResponse(HTTPStatus.INTERNAL_SERVER_ERROR, self.failure)
        failed = False

        async def answer(message: Message) -> None:
            nonlocal failed
            if message["type"] == "http.response.start" and message["status"] == response.status:
                failed = True
                await self._respond(response, scope, receive, send)
            elif not failed:
                await send(message)

        return answer

    async def _respond(
        self, response: GuardResponse, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if self.json_prefix is not None and scope["path"].startswith(self.json_prefix):
            text, kind = json.dumps({"reason": response.sentence}), "application/json"
        else:
            text, kind = f"{response.sentence}\n", "text/plain"
        content = text if response.sentence else ""
        headers = dict(response.headers)
        await Response(content, response.status, headers, kind)(scope, receive, send)


@dataclass(frozen=True)
class LinkedApp:
    """Redirects from one user interface to the other one, and changes bodies so that they link."""

    pages: ASGIApp
    prefix: str
    """Path under which the other interface is found."""
    target: Callable[[Scope], str]
    """Path in the other interface, with its query."""
    port: int | None
    """Where the other interface listens on the same host; None if it does not."""
    rewrite: Callable[[Scope], Rewrite | None]
    """How the response to a request is changed; None: it is not."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request as ASGI requires."""
        if scope["type"] != "http":
            await self.pages(scope, receive, send)
        elif self.port is not None and f"{scope['path']}/".startswith(f"{self.prefix}/"):
            host = host_of(Request(scope))
            headers = {"Location": f"http://{host}:{self.port}{self.target(scope)}"}
            await Response(status_code=HTTPStatus.FOUND, headers=headers)(scope, receive, send)
        else:
            change = self.rewrite(scope)
            await self.pages(scope, receive, send if change is None else _rewriting(send, *change))


def _rewriting(send: Send, kind: str, change: Callable[[bytes], bytes]) -> Send:
    """Hold back a body of a content type until it is whole, then change it."""
    held: list[Message] = []
    chunks: list[bytes] = []

    async def rewriting(message: Message) -> None:
        if message["type"] == "http.response.start" and _is(kind, message):
            held.append(message)
            return
        if not held or message["type"] != "http.response.body":
            await send(message)
            return
        chunks.append(message.get("body", b""))
        if message.get("more_body", False):
            return
        body, start = change(b"".join(chunks)), held.pop()
        headers = MutableHeaders(raw=list(start["headers"]))
        headers["Content-Length"] = str(len(body))
        await send({**start, "headers": headers.raw})
        await send({"type": "http.response.body", "body": body})

    return rewriting


def _is(kind: str, start: Message) -> bool:
    headers = Headers(raw=list(start.get("headers", [])))
    plain = "content-encoding" not in headers and start["status"] == HTTPStatus.OK
    return plain and headers.get("content-type", "").startswith(kind)


def content_type(request: Request) -> str:
    """The type of a request's body, in small letters and without its parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def read_body(request: Request, largest: int) -> bytearray | None:
    """The body of a request; None if it has more bytes than allowed."""
    body = bytearray()
    if int(request.headers.get("content-length", "0")) > largest:
        return None
    async for chunk in request.stream():
        body += chunk
        if len(body) > largest:
            return None
    return body
