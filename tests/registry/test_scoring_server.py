"""A model behind an address: requests over HTTP that are answered, and those that are refused."""

import asyncio
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Message

from risexp.errors import EnvironmentFailed
from risexp.inference.estimate import answers
from risexp.registry.scoring_server import (
    QUEUE_LIMITS,
    JsonGate,
    UncheckedModel,
    open_socket,
    scoring_server,
    socket_address,
)
from risexp.web.guard import RequestGuard
from risexp.web.request_queue import QueueLimits
from tests.support.models import CPU, SCENES, arrays, bundle, frames, model_in

JSON = "application/json"
PAGE = Path(__file__).parents[2] / "docs" / "models.md"
Ask = Callable[..., tuple[int, Any]]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model_in(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def port(model: Path) -> Iterator[int]:
    with running(model, RequestGuard(writable=True)) as port:
        yield port


@contextmanager
def running(model: Path, guard: RequestGuard, limits: QueueLimits = QUEUE_LIMITS) -> Iterator[int]:
    """The port of a server in a thread; early requests wait at the socket."""
    with open_socket("127.0.0.1", 0) as listener:
        server = scoring_server(model, guard, queue_limits=limits)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture
def ask(port: int) -> Iterator[Ask]:
    with asking(port) as asked:
        yield asked


@contextmanager
def asking(port: int, host: str = "127.0.0.1") -> Iterator[Ask]:
    connection = HTTPConnection(host, port, timeout=60)

    def asked(
        body: object = None, path: str = "/invocations", kind: str = JSON, **headers: str
    ) -> tuple[int, Any]:
        content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        method = "GET" if body is None else "POST"
        connection.request(method, path, content, {"Content-Type": kind, **headers})
        response = connection.getresponse()
        said = response.read().decode()
        return response.status, json.loads(said) if said.startswith("{") else said

    with closing(connection):
        yield asked


def written(name: str) -> object:
    """A field of the frames as strings, like in the documentation."""
    return arrays()[name].astype(str).tolist()


def request(**changes: object) -> dict[str, object]:
    inputs = {"y": written("y"), "channel": written("channel"), "codes": [written("codes")]}
    return {"inputs": {**inputs, **changes}, "params": {"snr_db": arrays()["snr_db"].tolist()}}


def test_a_request_is_answered_as_the_network_answers(ask: Ask) -> None:
    status, said = ask(request())

    assert 200 == status
    expected = answers(bundle().predictor(CPU)(frames()))
    assert SCENES == len(said["predictions"])
    for one, other in zip(expected, said["predictions"], strict=True):
        assert one["count"] == other["count"]
        assert one["count_probabilities"] == pytest.approx(other["count_probabilities"], abs=1e-5)
        for here, there in zip(one["sources"], other["sources"], strict=True):
            assert here == pytest.approx(there, abs=1e-5)


def test_shared_codes_need_no_axis(ask: Ask) -> None:
    assert ask(request()) == ask(request(codes=written("codes")))


def test_the_program_of_the_documentation_is_answered(
    port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import numpy as np

    np.savez(tmp_path / "frames.npz", **arrays())  # type: ignore[arg-type] # of numpy 2.4
    monkeypatch.chdir(tmp_path)
    (program,) = re.findall(r"```python\n(import json\n.*?)```", PAGE.read_text("utf-8"), re.DOTALL)

    exec(program.replace(":5001", f":{port}"), {})  # noqa: S102 - our own page

    said = capsys.readouterr().out
    assert SCENES == said.count("'count'")
    assert str(answers(bundle().predictor(CPU)(frames()))[0]["count"]) in said


def test_frames_that_cannot_be_answered_are_refused_in_one_sentence(ask: Ask) -> None:
    bodies: list[tuple[object, str]] = [
        (
            {"inputs": {"y": [[["1+2j"]]], "channel": [[["1"]]], "codes": [["1"]]}},
            "y has shape (1, 1, 1) where (B, 16, 8) was expected: scenes, snapshots, antennas",
        ),
        (request(y=[[["1+2i"]]]), "Invalid input. complex() arg is a malformed string"),
        ({**request(), "params": {"snr": [1.0]}}, "there is no parameter 'snr': snr_db is"),
        ({"inputs": {"y": written("y")}}, "channel is missing: y, channel and codes are needed"),
        ({"inputs": [1.0]}, "frames come as"),
        ({"dataframe_split": {"columns": ["y"], "data": [[1]]}}, "frames come as"),
        *(({**request(), "params": params}, "") for params in ("ten", {"snr_db": [[1.0], 2]})),
    ]

    for body, sentence in bodies:
        status, answer = ask(body)
        assert 400 == status
        assert {"error_code", "message"} == answer.keys()
        assert sentence in answer["message"]
        assert len(answer["message"]) < 200
        assert "\n" not in answer["message"]


def test_a_server_on_loopback_answers_json_at_its_own_names_and_paths_alone(ask: Ask) -> None:
    assert 200 == ask(path="/ping")[0]
    assert 200 == ask(path="/ping", Host="localhost:5001")[0]
    status, said = ask(request(), Host="evil.example:5001")
    assert (421, True) == (status, said.startswith("this Host is not served here"))
    status, said = ask(request(), Origin="http://evil.example")
    assert (403, True) == (status, "another origin" in said)
    status, said = ask(request(), kind="text/plain")  # a form, which a page could send
    assert (415, True) == (status, "Content-Type: application/json" in said)
    paths = ("/docs", "/openapi.json", "/", "/invocations/more")
    assert [404] * 4 == [ask(path=path)[0] for path in paths]


def test_a_request_that_is_too_long_is_not_read(
    ask: Ask, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("risexp.registry.scoring_server.LARGEST", 1000)

    status, said = ask(request())

    assert (413, True) == (status, "a request has at most" in said)
    with closing(HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        headers = {"Content-Type": JSON}
        chunks = iter([b"{" * 999, b"{" * 2])
        connection.request("POST", "/invocations", chunks, headers, encode_chunked=True)
        assert 413 == connection.getresponse().status


def test_a_client_that_leaves_within_its_request_is_no_error() -> None:
    body: list[Message] = [
        {"type": "http.request", "body": b"{", "more_body": True},
        {"type": "http.disconnect"},
    ]
    headers = [(b"host", b"127.0.0.1"), (b"content-type", JSON.encode())]
    scope = {"type": "http", "method": "POST", "path": "/invocations", "headers": headers}

    async def receive() -> Message:
        return body.pop(0)

    async def never(*_: object) -> None:
        raise AssertionError

    asyncio.run(JsonGate(never)(scope, receive, never))

    assert [] == body


def test_half_open_sockets_and_fifty_requests_at_once_are_all_answered(port: int) -> None:
    half = b"POST /invocations HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    body = b"Content-Length: 100\r\n\r\n{"

    def answer(_: int) -> int:
        with asking(port) as ask:
            return ask(request())[0]

    with ExitStack() as stack:
        for sent in (b"", half, half + body) * 11:
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            client.sendall(sent)
        with ThreadPoolExecutor(50) as pool:
            statuses = [*pool.map(answer, range(50))]

    assert [200] * 50 == statuses


def test_a_question_for_the_server_itself_never_waits_for_predictions(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, end = threading.Semaphore(0), threading.Event()

    def predict(*_: object) -> list[object]:
        begun.release()
        end.wait()
        return []

    monkeypatch.setattr(UncheckedModel, "predict", predict)
    limits = QueueLimits(running=1, waiting=0)
    with running(model, RequestGuard(writable=True), limits=limits) as port, ExitStack() as stack:
        working, other = (stack.enter_context(asking(port)) for _ in range(2))
        pool = stack.enter_context(ThreadPoolExecutor(1))
        stack.callback(end.set)
        answer = pool.submit(working, request())
        assert begun.acquire(timeout=60)
        statuses = [other(path="/health")[0], other(request())[0]]
        end.set()

        assert [200, 503] == statuses
        assert 200 == answer.result()[0]


def test_a_body_that_is_no_json_is_a_400_that_repeats_nothing_of_it(ask: Ask) -> None:
    for body in (b"", b" ", b"\xff secret", b"[" * 100_000, b"{", b'{"a": NaN'):
        status, answer = ask(body)
        assert 400 == status
        assert {"error_code", "message"} == answer.keys()
        assert 0 < len(answer["message"]) <= 300
        assert "secret" not in answer["message"]
        assert "[[" not in answer["message"]


def test_a_taken_port_is_refused_or_replaced_by_a_free_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with open_socket("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(EnvironmentFailed, match=f"--port 0 takes one in place of {port}"):
            open_socket("127.0.0.1", port)
        with pytest.raises(EnvironmentFailed, match=r"cannot listen at 192\.0\.2\.1: .*machine's"):
            open_socket("192.0.2.1", 0)

        monkeypatch.setattr("risexp.registry.scoring_server.PORT", port)
        with open_socket("127.0.0.1", None) as listener:
            assert taken.getsockname() != listener.getsockname()
            assert re.fullmatch(r"http://127\.0\.0\.1:[0-9]+", socket_address(listener))


def test_an_address_of_six_parts_stands_in_brackets() -> None:
    try:
        listener = open_socket("::1", 0)
    except EnvironmentFailed:
        pytest.skip("this machine has no IPv6")
    with listener:
        assert socket.AF_INET6 == listener.family
        assert socket_address(listener).startswith("http://[::1]:")
