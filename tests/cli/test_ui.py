"""`risexp ui` as a person starts and ends it."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from risexp.app.ui.ui import ServedPages, UiRequest, _Pages, serve
from risexp.errors import EnvironmentFailed
from tests.support.commands import Capture, run

ASK = ("/health", "/api/studies")
"""Of MLflow, and of the dashboard."""


@contextmanager
def serving(home: Path, *options: str, **more: str) -> Iterator[subprocess.Popen[str]]:
    """The command as a process, which is ended however the test ends."""
    process = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "risexp", "ui", *options],
        cwd=home,
        env={**os.environ, "RISEXP_HOME": str(home), **more},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.communicate()


def told(process: subprocess.Popen[str]) -> dict[str, Any]:
    """The document that it says once both answer."""
    assert process.stdout is not None
    lines = list[str]()
    for line in process.stdout:
        lines.append(line)
        if line == "}\n":
            break
    document: dict[str, Any] = json.loads("".join(lines))
    return document


def status(address: str, path: str, **headers: str) -> int:
    """Status of a page; 0 if no server listens."""
    connection = HTTPConnection(urlsplit(address).netloc, timeout=30.0)
    try:
        connection.request("GET", path, headers=headers)
        return connection.getresponse().status
    except ConnectionRefusedError:
        return 0
    finally:
        connection.close()


def children(pid: int) -> list[int]:
    said = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(each) for each in said.split()]


def test_both_answer_who_has_the_token_and_end_with_ctrl_c(in_order: Path) -> None:
    token = "0123456789abcdef-a-token"  # noqa: S105 - opens nothing
    options = ("--json", "--host", "127.0.0.2")
    with serving(in_order, *options, RISEXP_UI_TOKEN=token) as process:
        found = told(process)
        places = (found["mlflow"], found["dashboard"])
        words = [
            Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8")
            for pid in (process.pid, *children(process.pid))
        ]
        bearer = {"Authorization": f"Bearer {token}"}
        without = [status(place, path) for place, path in zip(places, ASK, strict=True)]
        with_it = [status(place, path, **bearer) for place, path in zip(places, ASK, strict=True)]

        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
        after = [status(place, path) for place, path in zip(places, ASK, strict=True)]

    assert ([401, 401], [200, 200], [0, 0]) == (without, with_it, after)
    assert {"127.0.0.2"} == {urlsplit(place).hostname for place in places}
    assert (0, None, 2) == (process.returncode, found["token"], len(words))
    assert token not in "".join([*words, said, json.dumps(found)])


@pytest.mark.usefixtures("in_order")
def test_what_is_left_ends_when_one_dies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_Pages, "_answers", lambda *_: True)
    before, dashboards = children(os.getpid()), list[str]()

    def kill(pages: ServedPages) -> None:
        (server,) = set(children(os.getpid())).difference(before)
        os.kill(server, signal.SIGKILL)
        dashboards.append(str(pages.dashboard))

    with pytest.raises(EnvironmentFailed, match="MLflow's server ended with exit code -9"):
        serve(UiRequest(), kill)

    assert [0] == [status(place, "/api/studies") for place in dashboards]


def test_an_empty_home_is_told_what_makes_runs(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path))

    code, out, said = run(capsys, "ui")

    assert (2, "", []) == (code, out, [*tmp_path.iterdir()])
    assert "`risexp hpo --space smoke`" in said


@pytest.mark.usefixtures("in_order")
def test_a_port_that_is_asked_for_and_taken_is_named(capsys: Capture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        code, _, said = run(capsys, f"ui --only dashboard --dashboard-port {port}")

    assert (1, True) == (code, f"port {port}" in said)


@pytest.mark.usefixtures("in_order")
def test_a_short_token_is_refused(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RISEXP_UI_TOKEN", "short")

    code, _, said = run(capsys, "ui")

    assert (2, True) == (code, "RISEXP_UI_TOKEN" in said)
    assert "short:" not in said


def test_runs_on_a_tracking_server_are_found_there(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path))

    code, _, said = run(capsys, "ui --tracking http://me:secret@tracking.example:5000")

    assert (2, True) == (code, "open http://tracking.example:5000" in said)
    assert "secret" not in said
