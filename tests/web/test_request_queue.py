"""A queue of requests: nothing is refused below its bound, and no slow client holds a place."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

from risexp.web.request_queue import QueueFull, QueueLimits, RequestQueue

COMPLETE: Message = {"type": "http.request", "body": b"all", "more_body": False}
BEGUN: Message = {"type": "http.request", "body": b"half", "more_body": True}
LEFT: Message = {"type": "http.disconnect"}
ROUNDS = 20
"""Turns of the event loop after which nothing is left to happen."""


class Client:
    """A client that has sent some messages, and sends more when a test says so."""

    def __init__(self, *messages: Message) -> None:
        self._messages = asyncio.Queue[Message]()
        self.send(*messages)

    def send(self, *messages: Message) -> None:
        for message in messages:
            self._messages.put_nowait(message)

    async def receive(self) -> Message:
        return await self._messages.get()


class Work:
    """Requests in one queue; each of them holds its place until it is told to end."""

    def __init__(self, running: int = 1, waiting: int = 50, read_ahead: int = 100) -> None:
        self._queue = RequestQueue(QueueLimits(running, waiting, read_ahead))
        self._ends: dict[str, asyncio.Event] = {}
        self.begun: list[str] = []

    async def start(self, name: str, client: Client) -> "asyncio.Task[bytes]":
        """Send a request, and let everything happen that can happen."""
        self._ends[name] = asyncio.Event()
        task = asyncio.create_task(self._answer(name, client.receive))
        await settled()
        return task

    async def end(self, *names: str) -> None:
        for name in names:
            self._ends[name].set()
            await settled()

    async def _answer(self, name: str, receive: Receive) -> bytes:
        body = bytearray()
        async with self._queue.place(receive) as rest:
            self.begun.append(name)
            await self._ends[name].wait()
            more = True
            while more:
                message = await rest()
                body += message["body"]
                more = message["more_body"]
        return bytes(body)


async def settled() -> None:
    for _ in range(ROUNDS):
        await asyncio.sleep(0)


def loop(test: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    """A test that runs in an event loop of its own."""

    def run() -> None:
        async def main() -> None:
            await test()

        asyncio.run(main())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


@loop
async def test_fifty_requests_are_answered_in_order_two_at_a_time() -> None:
    work = Work(running=2, waiting=48)
    names = [str(number) for number in range(50)]

    tasks = [await work.start(name, Client(COMPLETE)) for name in names]
    at_once = [*work.begun]
    await work.end(*names)

    assert ["0", "1"] == at_once
    assert names == work.begun
    assert [b"all"] * 50 == await asyncio.gather(*tasks)


@loop
async def test_only_a_request_beyond_the_bound_is_refused() -> None:
    work = Work(running=1, waiting=1)

    await work.start("runs", Client(COMPLETE))
    await work.start("waits", Client(COMPLETE))
    refused = await work.start("refused", Client(COMPLETE))
    await work.end("runs")
    later = await work.start("later", Client(COMPLETE))
    await work.end("waits", "later")

    assert isinstance(refused.exception(), QueueFull)
    assert ["runs", "waits", "later"] == work.begun
    assert b"all" == await later


@loop
async def test_a_request_takes_no_place_before_its_body_has_come() -> None:
    work, slow = Work(), Client(BEGUN)

    task = await work.start("slow", slow)
    await work.start("quick", Client(COMPLETE))
    await work.end("quick")
    slow.send(COMPLETE)
    await work.end("slow")

    assert ["quick", "slow"] == work.begun
    assert b"halfall" == await task


@loop
async def test_a_long_body_is_read_to_its_end_in_its_place() -> None:
    work, client = Work(read_ahead=3), Client(BEGUN)

    task = await work.start("long", client)
    begun = [*work.begun]
    client.send(BEGUN, COMPLETE)
    await work.end("long")

    assert ["long"] == begun
    assert b"halfhalfall" == await task


@loop
async def test_a_client_that_leaves_while_it_waits_is_not_answered() -> None:
    work, impatient = Work(waiting=2), Client(COMPLETE)

    await work.start("runs", Client(COMPLETE))
    left = await work.start("left", impatient)
    impatient.send(LEFT)
    await settled()
    next_one = await work.start("next", Client(COMPLETE))
    other = await work.start("other", Client(COMPLETE))
    await work.end("runs", "next", "other")

    assert isinstance(left.exception(), ClientDisconnect)
    assert ["runs", "next", "other"] == work.begun
    assert [b"all", b"all"] == [await next_one, await other]


@loop
async def test_a_cancelled_request_gives_its_place_or_its_turn_to_the_next_one() -> None:
    work = Work()

    running = await work.start("running", Client(COMPLETE))
    waiting = await work.start("waiting", Client(COMPLETE))
    last = await work.start("last", Client(COMPLETE))
    waiting.cancel()
    running.cancel()
    await work.end("last")

    assert ["running", "last"] == work.begun
    assert b"all" == await last


@loop
async def test_a_body_that_breaks_off_is_never_taken_for_a_whole_one() -> None:
    for read_ahead in (1, 100):
        work = Work(read_ahead=read_ahead)

        task = await work.start("broken", Client(BEGUN, LEFT))
        await work.end("broken")
        after = await work.start("after", Client(COMPLETE))
        await work.end("after")

        assert isinstance(task.exception(), ClientDisconnect)
        assert b"all" == await after


def test_the_bounds_leave_room_for_every_connection_that_works_or_waits() -> None:
    from risexp.web.connections import CONNECTION_LIMITS
    from risexp.web.request_queue import QUEUE_LIMITS

    assert QUEUE_LIMITS.running + QUEUE_LIMITS.waiting < CONNECTION_LIMITS.connections


@pytest.mark.parametrize("turns", range(6))
def test_no_place_is_lost_whenever_a_waiting_request_is_cancelled(turns: int) -> None:
    @loop
    async def case() -> None:
        work = Work()
        running = await work.start("running", Client(COMPLETE))
        waiting = await work.start("waiting", Client(COMPLETE))

        running.cancel()
        for _ in range(turns):
            await asyncio.sleep(0)
        waiting.cancel()
        await settled()
        last = await work.start("last", Client(COMPLETE))
        await work.end("last")

        assert b"all" == await last

    case()
