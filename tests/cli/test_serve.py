"""`risexp serve`: a process that answers requests and ends by a signal."""

import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.request import Request, urlopen

import pytest

from risexp.app.serving.serve import serve
from risexp.core.signals import SignalHandler
from tests.support.commands import Capture, refused
from tests.support.models import model_in

PROGRAM = "from risexp.cli.main import main; main()"


def test_a_server_answers_its_example_and_ends_cleanly(tmp_path: Path) -> None:
    model_in(tmp_path)
    host = "0.0.0.0"  # noqa: S104 - for the seconds of a test, behind a token
    with subprocess.Popen(  # noqa: S603 - our own interpreter and program
        [sys.executable, "-c", PROGRAM, "serve", "model", "--port", "0", "--host", host],
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(3)]
        _, address, *flags = shlex.split(said[2])
        headers = dict(flag.split(": ") for flag in flags if ": " in flag)
        request = Request(address, Path(flags[-1][1:]).read_bytes(), headers)  # noqa: S310 - ours
        with urlopen(request) as response:  # noqa: S310 - ours
            answered = json.load(response)
        process.send_signal(signal.SIGTERM)
        _, noted = process.communicate()

    assert said[0].startswith(f"run run-1, epoch 3 answers at http://{host}:")
    assert "Authorization" in headers
    assert 1 == len(answered["predictions"])
    assert 0 == process.returncode
    assert ["Ctrl-C ends it", "risexp: the server has ended"] == noted.splitlines()[-2:]
    assert 1 == len(noted.splitlines()[:-2])
    assert [] == list(tmp_path.glob("risexp-serve-*"))


def test_a_short_token_and_an_invalid_host_name_are_refused(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RISEXP_SERVE_TOKEN", "short")

    for flags, said in (
        ("", "RISEXP_SERVE_TOKEN has 5 characters: give at least 16"),
        ("--allow-host http://a", "is no host name"),
    ):
        refused(capsys, f"serve {tmp_path} --port 0 {flags}", said)


def test_a_second_signal_does_not_end_the_removal_of_the_served_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Folder(TemporaryDirectory[str]):
        """A folder at whose removal the second signal comes."""

        def __exit__(self, *_: object) -> None:
            signal.raise_signal(signal.SIGTERM)
            self.cleanup()

    class Server:
        """A server that the first signal ends."""

        ended = False

        def end(self) -> None:
            self.ended = True

        def run(self, **_: object) -> None:
            signal.raise_signal(signal.SIGTERM)
            assert self.ended

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("risexp.app.serving.serve.TemporaryDirectory", Folder)
    monkeypatch.setattr("risexp.app.serving.serve.scoring_server", lambda *_: Server())
    model = model_in(tmp_path)

    with SignalHandler(kinds=[signal.SIGTERM]) as outer:
        serve(str(model), "127.0.0.1", 0, (), lambda _: None)

    assert [] == outer.numbers
    assert [] == list(tmp_path.glob("risexp-serve-*"))
