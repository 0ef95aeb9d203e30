"""Connections of a web server: slow clients are cut off, and they keep no request away."""

import asyncio
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, closing
from http.client import HTTPConnection

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from risexp.web.connections import ConnectionLimits, WebServer, server_config
from risexp.web.guard import RequestGuard
from risexp.web.guarded_app import GuardedApp
from risexp.web.request_queue import QueueLimits, RequestQueue
from tests.support.web_requests import running

TOKEN = "0123456789abcdef-a-token"  # noqa: S105 - opens nothing
HALF_HEADER = b"POST / HTTP/1.1\r\nHost: 127"
HALF_BODY = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n{"
GET = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
IMPATIENT = ConnectionLimits(patience_s=0.2, unread_s=0.2)


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the body of the request."""
    body = await Request(scope, receive).body()
    await Response(body or b"empty")(scope, receive, send)


def served(app: ASGIApp, limits: ConnectionLimits) -> AbstractContextManager[int]:
    """The port of a server in a thread."""
    return running(WebServer(server_config(app, limits=limits, lifespan="off")))


def guarded(pages: ASGIApp = echo, token: str = "", running: int = 2, waiting: int = 60) -> ASGIApp:
    """Pages behind a guard and a queue."""
    queue = RequestQueue(QueueLimits(running, waiting))
    return GuardedApp(pages, RequestGuard(token=token, writable=True), queue=queue)


def opened(port: int, sent: bytes = b"") -> socket.socket:
    """A connection over which some bytes were sent."""
    client = socket.create_connection(("127.0.0.1", port), timeout=60.0)
    client.sendall(sent)
    return client


def received(client: socket.socket, last: bytes) -> bytes:
    """What the server sends, up to some words."""
    response = b""
    while last not in response:
        response += client.recv(1000) or pytest.fail(f"the server has ended after {response!r}")
    return response


def status(port: int, **headers: str) -> int:
    """What a whole request is answered with."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=60.0)) as client:
        client.request("POST", "/", b"{}", headers)
        return client.getresponse().status


def test_half_open_sockets_and_fifty_requests_at_once_are_no_reason_to_refuse() -> None:
    with served(guarded(), ConnectionLimits()) as port, ExitStack() as stack:
        for sent in (b"", HALF_HEADER, HALF_BODY) * 11:
            stack.enter_context(opened(port, sent))
        with ThreadPoolExecutor(50) as pool:
            statuses = [*pool.map(lambda _: status(port), range(50))]

    assert [200] * 50 == statuses


@pytest.mark.parametrize("sent", [b"", HALF_HEADER, HALF_BODY])
def test_a_client_that_stops_within_its_request_is_cut_off(sent: bytes) -> None:
    with served(guarded(), IMPATIENT) as port, opened(port, sent) as client:
        assert b"" == client.recv(1)


def test_a_client_that_stops_within_its_second_request_is_cut_off() -> None:
    with served(guarded(), IMPATIENT) as port, opened(port, GET) as client:
        received(client, b"empty")
        client.sendall(HALF_HEADER)
        assert b"" == client.recv(1)


def test_a_client_that_does_not_read_is_cut_off() -> None:
    cut_off = threading.Event()

    async def long(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(64):  # more than the buffers of both sides can hold
            await send({"type": "http.response.body", "body": bytes(1 << 20), "more_body": True})
        cut_off.set()

    with served(guarded(long), IMPATIENT) as port, opened(port, GET):
        assert cut_off.wait(60)


def test_sockets_without_a_request_make_room_for_a_client_with_the_token() -> None:
    app = guarded(token=TOKEN)
    with served(app, ConnectionLimits(connections=4)) as port, ExitStack() as stack:
        for sent in (b"", HALF_HEADER, HALF_BODY, GET) * 3:
            stack.enter_context(opened(port, sent))

        assert 200 == status(port, Authorization=f"Bearer {TOKEN}")
        assert 401 == status(port)


class Held:
    """Pages that answer when a test says so."""

    def __init__(self) -> None:
        self._begun = threading.Semaphore(0)
        self._end = threading.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._begun.release()
        await asyncio.to_thread(self._end.wait)
        await echo(scope, receive, send)

    def wait_for_request(self) -> None:
        assert self._begun.acquire(timeout=60)

    def __enter__(self) -> "Held":
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()

    end = __exit__


def test_requests_at_work_keep_their_connections_however_many_come() -> None:
    with ExitStack() as stack:
        held = Held()
        port = stack.enter_context(served(guarded(held), ConnectionLimits(connections=2)))
        stack.enter_context(held)
        working = [stack.enter_context(opened(port, GET)) for _ in range(2)]
        for _ in working:
            held.wait_for_request()
        for _ in range(5):
            stack.enter_context(opened(port, HALF_HEADER))
        with opened(port) as refused:
            ended = is_reset(refused)
        held.end()

        assert ended
        assert [b"HTTP/1.1 200 OK"] * 2 == [client.recv(15) for client in working]


def is_reset(client: socket.socket) -> bool:
    """True if the server closes the connection without a word."""
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


def test_more_requests_than_may_wait_are_told_to_come_again() -> None:
    with ExitStack() as stack:
        held = Held()
        app = guarded(held, running=1, waiting=0)
        port = stack.enter_context(served(app, ConnectionLimits()))
        stack.enter_context(held)
        working = stack.enter_context(opened(port, GET))
        held.wait_for_request()
        refused = received(stack.enter_context(opened(port, GET)), b"a few seconds")
        held.end()

        assert refused.startswith(b"HTTP/1.1 503 Service Unavailable")
        assert b"\r\nretry-after: 5\r\n" in refused.lower()
        assert b"HTTP/1.1 200 OK" == working.recv(15)
