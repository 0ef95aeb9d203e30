"""MLflow's application behind its door: who is let in, and what is linked and begun with."""

import asyncio
import json
from typing import Any

import pytest

from risexp.web.default_view import begun
from risexp.web.guard import RequestGuard, door_at
from risexp.web.mlflow_app import (
    TOLD,
    Guarded,
    Linked,
    Message,
    MlflowAppSettings,
    Receive,
    Scope,
    Send,
    settings,
)

TOKEN = "0123456789abcdef-a-token"  # noqa: S105 - opens nothing
NOTE = "In optuna-dashboard: `/dashboard/studies/1/trials?numbers=7`, study `/dashboard/studies/1`"


class Inside:
    """An application that answers in two pieces, and remembers who came in."""

    def __init__(self, kind: str, body: bytes) -> None:
        self.came: list[Scope] = []
        self._kind = kind
        self._body = body

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        self.came.append(scope)
        sized = [
            (b"content-type", self._kind.encode()),
            (b"content-length", b"%d" % len(self._body)),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": sized})
        half = len(self._body) // 2
        await send({"type": "http.response.body", "body": self._body[:half], "more_body": True})
        await send({"type": "http.response.body", "body": self._body[half:]})


def asked(
    pages: Any,  # noqa: ANN401 - any application
    path: str = "/",
    method: str = "GET",
    **headers: str,
) -> tuple[int, dict[str, str], bytes]:
    """What is answered."""
    place, _, query = path.partition("?")
    told = {"host": "127.0.0.1:5000", **headers}
    scope = {
        "type": "http",
        "method": method,
        "path": place,
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in told.items()],
    }
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    asyncio.run(pages(scope, receive, send))
    given = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], given, b"".join(each.get("body", b"") for each in sent[1:])


def test_words_that_name_a_page_of_the_dashboard_become_links() -> None:
    body = json.dumps({"tags": [{"key": "mlflow.note.content", "value": NOTE}]}).encode()
    pages = Linked(Inside("application/json", body), 8080, None)

    _, headers, said = asked(pages, "/ajax-api/2.0/mlflow/runs/get")

    note = json.loads(said)["tags"][0]["value"]
    trial = "[trial 7](/dashboard/studies/1/trials?numbers=7)"
    assert f"In optuna-dashboard: {trial}, study [study 1](/dashboard/studies/1)" == note
    assert str(len(said)) == headers["content-length"]


@pytest.mark.parametrize(("kind", "port"), [("text/html", 8080), ("application/json", None)])
def test_files_and_pages_without_a_dashboard_stay_as_they_are(kind: str, port: int | None) -> None:
    pages = Linked(Inside(kind, NOTE.encode()), port, None)

    _, _, said = asked(pages, "/get-artifact")

    assert NOTE.encode() == said


def test_a_page_of_the_dashboard_is_where_the_browser_came_to() -> None:
    pages = Linked(Inside("text/plain", b""), 8081, None)

    status, headers, _ = asked(
        pages, "/dashboard/studies/1/trials?numbers=7", host="localhost:5000"
    )

    assert 302 == status
    assert "http://localhost:8081/dashboard/studies/1/trials?numbers=7" == headers["location"]


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", {"host": "evil.example"}, 421),
        ("POST", {"origin": "http://evil.example"}, 403),
        ("POST", {"origin": "http://127.0.0.1:3000"}, 403),
        ("OPTIONS", {"origin": "http://127.0.0.1:5000"}, 405),
        ("POST", {"origin": "http://127.0.0.1:5000"}, 200),
        ("POST", {}, 200),
    ],
)
def test_only_its_own_pages_and_programs_come_in(
    method: str, headers: dict[str, str], status: int
) -> None:
    inside = Inside("application/json", b"{}")
    pages = Guarded(inside, RequestGuard(writable=True))

    found, _, _ = asked(pages, "/api/2.0/mlflow/experiments/search", method, **headers)

    assert (status, status == 200) == (found, bool(inside.came))


@pytest.mark.parametrize(
    "path",
    [
        "/ajax-api/3.0/mlflow/assistant/chat",
        "/ajax-api/3.0/jobs/1",
        "/ajax-api/3.0/mlflow/jobs/1",
        "/ajax-api/3.0/mlflow/scorer/invoke",
        "/ajax-api/2.0/mlflow/gateway-proxy",
        "/api/2.0/mlflow/webhooks",
        "/gateway/proxy",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_nothing_is_run_for_a_page(path: str, method: str) -> None:
    inside = Inside("application/json", b"{}")

    status, _, _ = asked(Guarded(inside, RequestGuard(writable=True)), path, method)

    assert (403, []) == (status, inside.came)


@pytest.mark.parametrize("path", ["/ajax-api/3.0/jobs/search\n", "/gateway/a\nb", "/\x00", "/\x7f"])
def test_an_address_that_cannot_be_printed_is_no_page(path: str) -> None:
    inside = Inside("application/json", b"{}")

    status, _, _ = asked(Guarded(inside, RequestGuard(writable=True)), path, "POST")

    assert (400, []) == (status, inside.came)


def test_a_socket_of_the_web_is_closed() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    inside = Inside("text/plain", b"")
    asyncio.run(Guarded(inside, RequestGuard())({"type": "websocket"}, receive, send))

    assert (["websocket.close"], []) == ([each["type"] for each in sent], inside.came)


def test_no_answer_is_for_a_page_of_another_origin() -> None:
    inside = Inside("application/json", b"{}")

    _, headers, _ = asked(Guarded(inside, RequestGuard()), origin="http://localhost:3000")

    assert all(name != b"origin" for name, _ in inside.came[0]["headers"])
    assert "same-origin" == headers["cross-origin-resource-policy"]
    assert ("SAMEORIGIN", "nosniff") == (
        headers["x-frame-options"],
        headers["x-content-type-options"],
    )


def test_a_browser_begins_with_runs_and_keeps_what_was_chosen() -> None:
    page = begun(b"<head><title>MLflow</title></head>", "7").decode()

    assert '\\"machine_learning\\"' in page
    assert 'ExperimentPage-[\\"7\\"]-ReactComponentState' in page
    assert "getItem(key) === null" in page
    assert "ExperimentPage" not in begun(b"<title></title>", None).decode()
    assert b"no page" == begun(b"no page", "7")


def test_only_the_first_page_is_changed() -> None:
    pages = Linked(Inside("text/html", b"<title></title>"), 8080, "1")

    _, _, first = asked(pages, "/")
    _, _, other = asked(pages, "/get-artifact")

    assert (True, b"<title></title>") == (b"<script>" in first, other)


def test_a_server_that_runs_alone_knows_its_hosts_and_no_jobs() -> None:
    here = settings(RequestGuard())
    everywhere = settings(door_at("192.0.2.1", ("desk.example",), TOKEN, writable=True))

    assert "localhost:*" in here["MLFLOW_SERVER_ALLOWED_HOSTS"].split(",")
    assert "*" not in here["MLFLOW_SERVER_ALLOWED_HOSTS"].split(",")
    assert "desk.example:*" in everywhere["MLFLOW_SERVER_ALLOWED_HOSTS"].split(",")
    assert "false" == here["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"]


def test_what_a_server_is_told_comes_through_and_is_shown_nowhere() -> None:
    door = door_at("192.0.2.1", (), TOKEN, writable=True)
    told = MlflowAppSettings(3, door, "postgresql://me:secret@host/runs", "file:///a", 8080)

    assert told == TOLD.validate_json(TOLD.dump_json(told))
    assert TOKEN not in repr(told)
    assert "secret" not in repr(told)
