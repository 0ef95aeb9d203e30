"""Requests to ASGI applications without a server, one that notes them, and servers in threads."""

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from risexp.web.connections import WebServer

Answer = tuple[int, dict[str, str], bytes]
"""Status, headers by their names in small letters, and body."""


class Pages:
    """An application that answers in two pieces, and keeps the requests."""

    def __init__(self, kind: str = "application/json", body: bytes = b"{}") -> None:
        self.requests: list[Scope] = []
        self._kind = kind
        self._body = body

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        self.requests.append(scope)
        headers = [(b"content-type", self._kind.encode())]
        headers.append((b"content-length", b"%d" % len(self._body)))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        half = len(self._body) // 2
        await send({"type": "http.response.body", "body": self._body[:half], "more_body": True})
        await send({"type": "http.response.body", "body": self._body[half:]})


def exchange(app: ASGIApp, scope: Scope, body: bytes = b"") -> list[Message]:
    """The messages with which an application answers a request."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": body}

    async def answer() -> None:
        await app(scope, receive, send)

    asyncio.run(answer())
    return sent


def request(
    app: ASGIApp, path: str = "/", method: str = "GET", body: object = None, **headers: str
) -> Answer:
    """The answer to a request; a header `x_name` is sent as `x-name`."""
    content = b"" if body is None else json.dumps(body).encode()
    place, _, query = path.partition("?")
    usual = {"host": "127.0.0.1:8080", "accept-encoding": "identity"}
    fields = {**usual, "content-length": str(len(content)), **headers}
    scope: Scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "path": place,
        "query_string": query.encode(),
        "headers": [(k.replace("_", "-").encode(), v.encode()) for k, v in fields.items()],
    }
    start, *rest = exchange(app, scope, content)
    told = {name.decode(): value.decode() for name, value in start["headers"]}
    assert len(told) == len(start["headers"])
    return start["status"], told, b"".join(each.get("body", b"") for each in rest)


@contextmanager
def running(server: WebServer) -> Iterator[int]:
    """The port of a server in a thread."""
    listening = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        server.end()
        thread.join()
