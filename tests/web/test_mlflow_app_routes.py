"""Every address that this MLflow answers, held against what is open and what is closed."""

import asyncio
import json
import re
import subprocess
import sys
from typing import Any

import pytest

from risexp.web.guard import RequestGuard
from risexp.web.mlflow_app import Guarded, Message, Receive, Scope, Send

OPEN = {
    "artifacts",
    "datasets",
    "experiments",
    "get-online-trace-details",
    "get-trace-artifact",
    "label-schemas",
    "logged-models",
    "metrics",
    "model-versions",
    "registered-models",
    "review-queues",
    "runs",
    "server-info",
    "traces",
    "ui-telemetry",
    "unified-traces",
    "upload-artifact",
    "workspaces",
}
"""Rooms of MLflow that only keep and show what was sent to them."""
RUNS = re.compile(r"invoke|invocation|job|gateway|assistant|webhook|genai|scorer|generate")
"""Words of those that run something, or are asked to."""

ASK = """
import json
from mlflow.server import app as pages
from mlflow.server.fastapi_app import app
print(json.dumps([*(rule.rule for rule in pages.url_map.iter_rules()), *app.openapi()["paths"]]))
"""


@pytest.fixture(scope="module")
def addresses() -> set[str]:
    """All that it has a route for, with a 1 for each variable."""
    said = subprocess.run([sys.executable, "-c", ASK], check=True, capture_output=True, text=True)  # noqa: S603 - our own program
    found: list[str] = json.loads(said.stdout.splitlines()[-1])
    return {re.sub(r"<[^>]*>|\{[^}]*\}", "1", each) for each in found}


def status(path: str) -> int:
    """What is answered to a POST; 200 where it comes in."""

    async def inside(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    scope: dict[str, Any] = {
        "type": "http",
        "method": "POST",
        "path": path,
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1:5000")],
    }
    asyncio.run(Guarded(inside, RequestGuard(writable=True))(scope, receive, send))
    return int(sent[0]["status"])


def test_every_route_that_runs_something_is_closed(addresses: set[str]) -> None:
    running = [each for each in addresses if RUNS.search(each)]

    assert len(running) > 50
    assert [] == [each for each in running if status(each) != 403]


def test_the_rooms_that_are_open_are_those_that_keep_and_show(addresses: set[str]) -> None:
    rooms = re.compile(r"/(?:ajax-)?api/[0-9.]+/mlflow/([^/]+)")
    found = {each: rooms.match(each) for each in addresses}

    assert OPEN == {room[1] for each, room in found.items() if room and status(each) == 200}


@pytest.mark.parametrize(
    "path", ["/", "/graphql", "/get-artifact", "/api/2.0/mlflow-artifacts/artifacts/1"]
)
def test_pages_and_files_are_open(addresses: set[str], path: str) -> None:
    assert (True, 200) == (path in addresses, status(path))
