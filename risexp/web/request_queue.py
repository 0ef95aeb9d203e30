"""A queue of requests: some work at once, others wait for their turn, and only a crowd is refused.

A request takes its place when its body has arrived, so that a slow client does not hold one.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive


@dataclass(frozen=True)
class QueueLimits:
    """How many requests work and wait."""

    running: int = 32
    """Requests that work at once."""
    waiting: int = 256
    """Requests that wait for their turn; more of them are refused."""
    read_ahead: int = 1 << 20
    """Bytes of a body that are read before a request takes its place; the rest is read after."""


QUEUE_LIMITS: Final = QueueLimits()


class QueueFull(Exception):
    """As many requests wait as may wait."""


class RequestQueue:
    """Gives places to requests in the order in which their bodies have arrived."""

    def __init__(self, limits: QueueLimits = QUEUE_LIMITS) -> None:
        self._limits = limits
        self._places = asyncio.Semaphore(limits.running)
        self._waiting = 0

    @asynccontextmanager
    async def place(self, receive: Receive) -> AsyncIterator[Receive]:
        """Wait for a place and hold it; the value receives the request's body from its start.

        Raises:
            QueueFull: at once, instead of waiting.
            ClientDisconnect: the client left before its turn.
        """
        body = _Body(receive)
        await body.read_ahead(self._limits.read_ahead)
        await self._take_place(body)
        try:
            yield body
        finally:
            self._places.release()

    async def _take_place(self, body: "_Body") -> None:
        if not self._places.locked():
            await self._places.acquire()
            return
        if self._waiting >= self._limits.waiting:
            raise QueueFull
        self._waiting += 1
        turn = asyncio.create_task(self._places.acquire())
        left = asyncio.create_task(body.wait_for_disconnect())
        try:
            await asyncio.wait((turn, left), return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self._give_up(turn)
            raise
        finally:
            left.cancel()
            self._waiting -= 1
        if not turn.done():
            self._give_up(turn)
            raise ClientDisconnect

    def _give_up(self, turn: "asyncio.Task[bool]") -> None:
        """Leave the queue; a place that was given meanwhile goes to the next request."""
        if not turn.cancel():
            self._places.release()


class _Body:
    """Receives the body of a request, and raises where the client left in the middle of it.

    Applications would take the part for the whole.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._read: list[Message] = []
        self._complete = False

    async def read_ahead(self, largest: int) -> None:
        """Read until the body is complete, or has more bytes than given."""
        size = 0
        while not self._complete and size <= largest:
            message = await self._next()
            size += len(message.get("body", b""))
            self._read.append(message)

    async def wait_for_disconnect(self) -> None:
        """Return if the client leaves, which can be seen only if its request is complete."""
        if not self._complete:
            await asyncio.Event().wait()
        # After a complete body nothing else comes.
        await self._receive()

    async def __call__(self) -> Message:
        return self._read.pop(0) if self._read else await self._next()

    async def _next(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect" and not self._complete:
            raise ClientDisconnect
        self._complete = self._complete or not message.get("more_body", False)
        return message
