"""The connections of a web server: their number, and the patience with a client that is slow.

A client has to send its request at some rate, and to read the response. Connections without a
request are closed first if there are too many, so they keep no request away.
"""

import asyncio
import logging
import socket
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

_INCOMPLETE: Final = (h11.IDLE, h11.SEND_BODY)
"""States of a client that has something to send."""


@dataclass(frozen=True)
class ConnectionLimits:
    """How many connections are open, and how slow a client may be."""

    connections: int = 512
    """Open connections; with one more, the oldest one without a request is closed."""
    patience_s: float = 20.0
    """Time for the header of a request, and longest silence within a body."""
    bytes_per_s: int = 10_000
    """Slowest rate of a body, apart from its first `patience_s`."""
    unread_s: float = 60.0
    """Longest time in which a client reads nothing of a response."""


CONNECTION_LIMITS: Final = ConnectionLimits()


class LimitedProtocol(H11Protocol):
    """Closes the connection of a client that is too slow, and the oldest one if they are many."""

    limits: ClassVar[ConnectionLimits] = CONNECTION_LIMITS
    _clock: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None
    _left_s: float
    """Patience that is left; bytes of a body win some of it back."""
    waiting_since: float
    """When the connection began to wait for a request."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # uvicorn's
        """Begin to wait for the header of a request."""
        super().connection_made(transport)
        self._start_clock()
        if len(self.connections) > self.limits.connections:
            self._make_room()

    def data_received(self, data: bytes) -> None:
        """Take a part of a request."""
        if self._clock is None:
            self._start_clock()
        before = self.conn.their_state
        super().data_received(data)
        after = self.conn.their_state
        if after not in _INCOMPLETE:
            self._stop_clock()
        elif after is not before:
            self._start_clock()
        elif not self.has_no_request():
            won_s = len(data) / self.limits.bytes_per_s
            self._left_s = min(self.limits.patience_s, self._left_s + won_s)

    def on_response_complete(self) -> None:
        """Begin to wait for the next request."""
        self.waiting_since = self.loop.time()
        super().on_response_complete()

    def pause_writing(self) -> None:
        """Wait for a client that does not read."""
        super().pause_writing()
        self._unread = self.loop.call_later(self.limits.unread_s, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on with a client that reads again."""
        self._stop_unread()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """End all waiting."""
        self._stop_clock()
        self._stop_unread()
        super().connection_lost(exc)

    def has_no_request(self) -> bool:
        """True before a request's header is complete, and after its response."""
        # Before the first request there is no cycle, though uvicorn's types promise one.
        return self.cycle is None or self.cycle.response_complete  # type: ignore[redundant-expr]

    def _make_room(self) -> None:
        """Close the connection that has waited longest for a request, or else this new one."""
        others = (one for one in self.connections if isinstance(one, LimitedProtocol))
        idle = [one for one in others if one is not self and one.has_no_request()]
        oldest = min(idle, key=lambda one: one.waiting_since, default=self)
        # Now, for its end comes later, and more connections may come before.
        self.connections.discard(oldest)
        oldest.transport.abort()

    def _start_clock(self) -> None:
        self._stop_clock()
        self.waiting_since = self.loop.time()
        self._left_s = self.limits.patience_s
        self._next_tick()

    def _next_tick(self) -> None:
        self._clock = self.loop.call_later(self.limits.patience_s / 20, self._tick)

    def _tick(self) -> None:
        # Counted in ticks: a time in which the whole server stood still is not the client's.
        if not self.flow.read_paused:
            self._left_s -= self.limits.patience_s / 20
        if self._left_s > 0:
            self._next_tick()
        else:
            self.transport.abort()

    def _stop_clock(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None

    def _stop_unread(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None


class WebServer(uvicorn.Server):
    """Ends without complaints about the requests that its end cuts off."""

    def end(self) -> None:
        """Answer the requests that are at work, and no others."""
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close all connections."""
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        await super().shutdown(sockets)


def server_config(
    app: ASGIApp,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    grace_s: int = 2,
    limits: ConnectionLimits = CONNECTION_LIMITS,
    lifespan: Literal["auto", "off"] = "auto",
) -> uvicorn.Config:
    """Settings of a server without access log and server header: an address may hold a token."""
    protocol = type("ServerProtocol", (LimitedProtocol,), {"limits": limits})
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=protocol,
        # Only HTTP is answered, and a client's invalid request is no event of the server.
        ws="none",
        log_level="error",
        access_log=False,
        server_header=False,
        lifespan=lifespan,
        timeout_graceful_shutdown=grace_s,
    )
