"""Run commands in tests, and read their output."""

import json
from typing import Any

import pytest

from risexp.cli.main import main

Capture = pytest.CaptureFixture[str]
SETTINGS = (
    "training.epochs=3",
    "training.scenes_per_epoch=128",
    "training.batch=32",
    "validation.scenes=32",
    "validation.calibration_scenes=64",
)
TRAIN = "train -p smoke --threads 1 --device cpu " + " ".join(f"--set {each}" for each in SETTINGS)
"""A run of three short epochs."""
GENERATE = "data generate --out set --split test --scenes 6 --preset smoke"


def run(capsys: Capture, command: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of one command."""
    with pytest.raises(SystemExit) as left:
        main(command.split())
    output = capsys.readouterr()
    assert isinstance(left.value.code, int)
    return left.value.code, output.out, output.err


def document(capsys: Capture, command: str) -> Any:  # noqa: ANN401 - any JSON document
    """The one JSON document of a command that succeeds."""
    code, out, _ = run(capsys, f"{command} --json")
    assert 0 == code
    return json.loads(out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def refused(capsys: Capture, command: str, message: str) -> None:
    """Check that a command is refused as invalid in one sentence, with nothing on stdout."""
    code, out, err = run(capsys, command)
    assert (2, "") == (code, out), command
    assert message in err, (command, err)
    assert 1 == err.count("\n"), (command, err)


def succeed(command: str) -> None:
    """Check that a command succeeds, whatever it prints."""
    with pytest.raises(SystemExit, match=r"^0$"):
        main(command.split())
