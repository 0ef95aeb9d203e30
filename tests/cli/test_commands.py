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


def test_without_arguments_the_help_is_shown(capsys: Capture) -> None:
    code, out, err = run(capsys, "")

    assert 2 == code
    assert "Usage: risexp [OPTIONS] COMMAND" in out + err
    assert all(group in out + err for group in ("config", "data", "hpo", "show", "space"))


def test_a_group_without_a_command_shows_its_help(capsys: Capture) -> None:
    for group in ["config", "data", "show", "space"]:
        code, out, err = run(capsys, group)

        assert 2 == code, group
        assert f"Usage: risexp {group} [OPTIONS] COMMAND" in out + err, group


def test_help_that_was_asked_for_is_a_result(capsys: Capture) -> None:
    for asked in ["--help", "-h", "data generate --help", "space check -h"]:
        code, out, err = run(capsys, asked)

        assert 0 == code, asked
        assert out.startswith("Usage: risexp"), asked
        assert "" == err, asked


def test_the_exit_codes_are_documented_where_they_are_looked_for(capsys: Capture) -> None:
    _, out, _ = run(capsys, "--help")

    said = " ".join(out.split())
    assert "0 done; 1 the environment failed; 2 invalid input" in said


def test_the_version_is_printed(capsys: Capture) -> None:
    assert (0, f"{__version__}\n", "") == run(capsys, "--version")


def test_debug_raises_wherever_it_stands() -> None:
    for command in ["--debug config show --set a.b=1", "config show -s a.b=1 --debug"]:
        with pytest.raises(ConfigInvalid, match="there is no field"):
            main(command.split())


def test_debug_changes_nothing_where_nothing_is_wrong(capsys: Capture) -> None:
    assert (0, f"{__version__}\n", "") == run(capsys, "--debug --version")


def test_a_mistyped_word_is_told_the_right_one(capsys: Capture) -> None:
    cases: list[tuple[str, str]] = [
        ("datta verify x", "'data'"),
        ("data generat", "'generate'"),
        ("config shw", "'show'"),
        ("space lst", "'list'"),
        ("config show --orign", "--origin"),
        ("data generate --scens 3", "--scenes"),
    ]
    for command, meant in cases:
        code, _, err = run(capsys, command)

        assert 2 == code, (command, meant)
        assert meant in err, (command, meant)


def test_an_interrupt_leaves_with_130(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def interrupted(*_arguments: object, **_options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "save", interrupted)

    code, out, err = run(capsys, GENERATE)

    assert (130, "") == (code, out)
    assert err.splitlines()[-1].startswith("risexp: interrupted")
    assert [] == list(tmp_path.iterdir())


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


def test_debug_alone_shows_the_help(capsys: Capture) -> None:
    code, out, err = run(capsys, "--debug")

    assert 2 == code
    assert "Usage: risexp" in out + err


def test_an_unforeseen_error_is_one_sentence_that_says_how_to_see_more(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_path: str) -> str:
        message = "over\nseveral lines"
        raise ZeroDivisionError(message)

    monkeypatch.setattr("risexp.cli.config.describe", broken)

    code, _, err = run(capsys, "config show")

    assert 1 == code
    assert "risexp: ZeroDivisionError: over several lines; --debug shows where\n" == err


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


def test_a_process_that_is_asked_to_end_says_so_and_can_be_continued(tmp_path: Path) -> None:
    program = """
import os, signal
from risexp.cli import main, space
space.space_paths = lambda: os.kill(os.getpid(), signal.SIGTERM)
main.main(["space", "list"])
"""

    ended = subprocess.run(  # noqa: S603 - our own interpreter and program
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=tmp_path
    )

    assert 75 == ended.returncode
    assert ended.stderr == ("risexp: interrupted; nothing half-written was left\n")
