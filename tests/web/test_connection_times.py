"""How long a client may take, by a clock that the test turns."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.types import Receive, Scope, Send

from risexp.web.connections import ConnectionLimits, LimitedProtocol, server_config

TICKS = 20
"""Parts into which the patience with a client is cut."""


async def never(_scope: Scope, _receive: Receive, _send: Send) -> None:
    """An application that no request reaches."""


@dataclass
class Timer:
    """A timer of a clock that a test turns."""

    call: Callable[[], object]
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


class Task:
    """A request that never ends."""

    def add_done_callback(self, call: Callable[[object], object]) -> None:
        pass


@dataclass
class Clock:
    """An event loop that never runs: its timers go off when a test says so."""

    timers: list[Timer] = field(default_factory=list)

    def time(self) -> float:
        return 0.0

    def call_later(self, _delay: float, call: Callable[[], object]) -> Timer:
        self.timers.append(Timer(call))
        return self.timers[-1]

    def create_task(self, work: Coroutine[Any, Any, None]) -> "Task":
        work.close()
        return Task()


class Transport(asyncio.Transport):
    """A connection without a network."""

    aborted = False

    def abort(self) -> None:
        self.aborted = True

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


class Slow:
    """A client of a server whose clock a test turns: patient for 20 ticks of one second."""

    def __init__(self) -> None:
        self._clock = Clock()
        self._transport = Transport()
        limits = ConnectionLimits(patience_s=float(TICKS), bytes_per_s=10)
        config = server_config(never, limits=limits, lifespan="off")
        config.load()
        kind: Any = config.http_protocol_class
        state = uvicorn.Server(config).server_state
        self.protocol: LimitedProtocol = kind(
            config=config, server_state=state, app_state={}, _loop=self._clock
        )
        self.protocol.connection_made(self._transport)

    def sends(self, data: bytes) -> None:
        self.protocol.data_received(data)

    def waits(self, ticks: int) -> bool:
        """Let time pass; True if the client is still connected."""
        for _ in range(ticks):
            due = [timer for timer in self._clock.timers if not timer.cancelled]
            self._clock.timers.clear()
            for timer in due:
                timer.call()
        return not self._transport.aborted


HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n"


def test_a_header_that_comes_byte_by_byte_wins_no_time() -> None:
    client = Slow()

    alive = []
    for byte in HEAD[:TICKS]:
        client.sends(bytes([byte]))
        alive.append(client.waits(1))

    assert [*[True] * (TICKS - 1), False] == alive


def test_a_body_at_the_slowest_rate_is_read_and_a_slower_one_is_not() -> None:
    for rate, expected in ((10, True), (5, False)):
        client = Slow()
        client.sends(HEAD)

        for _ in range(1000 // rate - 1):
            client.sends(b" " * rate)
            client.waits(1)

        assert expected == client.waits(0)


def test_a_fast_beginning_buys_no_longer_silence() -> None:
    client = Slow()
    client.sends(HEAD + b" " * 999)

    assert client.waits(TICKS - 1)
    assert not client.waits(1)


def test_no_time_is_counted_while_the_server_does_not_read_or_works() -> None:
    client = Slow()
    client.sends(HEAD)
    client.protocol.flow.pause_reading()
    assert client.waits(10 * TICKS)
    client.protocol.flow.resume_reading()
    assert client.waits(TICKS - 1)
    client.sends(b" " * 1000)

    assert client.waits(10 * TICKS)


def test_the_rest_of_a_refused_request_wins_no_time() -> None:
    client = Slow()
    client.sends(HEAD)
    client.protocol.cycle.response_complete = True

    for _ in range(TICKS):
        client.sends(b" " * 10)
        client.waits(1)

    assert not client.waits(0)
