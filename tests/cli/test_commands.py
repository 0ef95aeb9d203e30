"""Output, exit codes and signals of all commands."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
from numpy.typing import NDArray

from risexp import __version__
from risexp.cli.main import main
from risexp.errors import ConfigInvalid
from tests.support.commands import GENERATE, Capture, run


def test_a_group_without_a_command_shows_its_help(capsys: Capture) -> None:
    for group in ["", "--debug", "config", "data", "show", "space"]:
        code, out, err = run(capsys, group)

        usage = " ".join(["risexp", *([] if group.startswith("-") else group.split())])
        assert 2 == code, group
        assert f"Usage: {usage} [OPTIONS] COMMAND" in out + err, group


def test_help_and_version_are_results(capsys: Capture) -> None:
    for asked in ["--help", "-h", "data generate --help", "space check -h"]:
        code, out, err = run(capsys, asked)

        assert (0, "") == (code, err), asked
        assert out.startswith("Usage: risexp"), asked

    _, out, _ = run(capsys, "--help")
    assert "0 done; 1 the environment failed; 2 invalid input" in " ".join(out.split())
    for asked in ["--version", "--debug --version"]:
        assert (0, f"{__version__}\n", "") == run(capsys, asked)


def test_debug_raises_wherever_it_stands() -> None:
    for command in ["--debug config show --set a.b=1", "config show -s a.b=1 --debug"]:
        with pytest.raises(ConfigInvalid, match="there is no field"):
            main(command.split())


def test_a_termination_leaves_with_75_and_the_same_command_continues(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    save, handler = np.save, signal.getsignal(signal.SIGTERM)
    calls = iter(range(1, 1000))

    def terminated(file: BinaryIO, array: NDArray[Any], *, allow_pickle: bool) -> None:
        if next(calls) == 5:
            file.write(b"half an arr")
            os.kill(os.getpid(), signal.SIGTERM)
        save(file, array, allow_pickle=allow_pickle)

    with monkeypatch.context() as patch:
        patch.setattr(np, "save", terminated)
        code, out, err = run(capsys, GENERATE)
    signal.signal(signal.SIGTERM, handler)
    left = list(tmp_path.iterdir())

    assert (75, "") == (code, out)
    assert err.splitlines()[-1].startswith("risexp: ")
    assert [] == left
    assert 0 == run(capsys, GENERATE)[0]


def test_an_unforeseen_error_is_one_sentence_that_says_how_to_see_more(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_path: str) -> str:
        message = "over\nseveral lines at https://me:planted-secret@host"
        raise ZeroDivisionError(message)

    monkeypatch.setattr("risexp.config.run.describe", broken)

    code, _, err = run(capsys, "config show")

    assert 1 == code
    told = "ZeroDivisionError: over several lines at https://***@host; --debug shows where"
    assert f"risexp: {told}\n" == err


def test_a_reader_that_leaves_is_no_error() -> None:
    program = "from risexp.cli.main import main; main(['config', 'show', '--origin'])"
    reading, writing = os.pipe()
    os.close(reading)

    left = subprocess.run(  # noqa: S603 - our own interpreter and program
        [sys.executable, "-c", program], stdout=writing, stderr=subprocess.PIPE, check=False
    )
    os.close(writing)

    assert (0, b"") == (left.returncode, left.stderr)


def test_a_table_that_is_piped_has_no_ornaments(capsys: Capture) -> None:
    _, out, _ = run(capsys, "space list")

    assert out.isascii()
    assert "\x1b" not in out
    assert not any(line.endswith(" ") for line in out.splitlines())
