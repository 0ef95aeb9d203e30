"""Commands that compute nothing import nothing heavy."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from risexp.space.study_spec import StudySpec
from tests.support.searches import past_rates, tiny

HEAVY = {"torch", "numpy", "scipy", "pandas", "mlflow", "optuna", "matplotlib", "sklearn"}

PROGRAM = """
import json, sys
from risexp.cli.main import main
codes = set()
for command in sys.argv[2:]:
    try:
        main(command.split())
    except SystemExit as left:
        codes.add(left.code)
with open(sys.argv[1], "w") as file:
    json.dump({"codes": sorted(codes), "modules": sorted(sys.modules)}, file)
"""


def imported(folder: Path, *commands: str) -> tuple[set[int], set[str]]:
    """Exit codes of commands in one process, and every module that it has imported."""
    answer = folder / "answer.json"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RISEXP_")}
    subprocess.run(  # noqa: S603 - our own interpreter and program
        [sys.executable, "-c", PROGRAM, str(answer), *commands],
        capture_output=True,
        check=True,
        cwd=folder,
        env=environment,
    )
    found = json.loads(answer.read_text(encoding="utf-8"))
    return set(found["codes"]), set(found["modules"])


def test_what_computes_nothing_imports_nothing_heavy(tmp_path: Path) -> None:
    light = ["--help", "space check", "space list", "config show --preset smoke"]
    helps = ["hpo --help", "data verify --help"]

    codes, modules = imported(tmp_path, *light, *helps)

    assert {0} == codes
    assert {"risexp", "pydantic", "typer"} <= modules
    assert set() == modules & HEAVY


def test_help_reads_no_configuration(tmp_path: Path) -> None:
    """The models of its sections took half of the start."""
    _, modules = imported(tmp_path, "--help", "--version", "hpo --help", "space --help")

    assert {"risexp.cli.hpo", "risexp.cli.space"} <= modules
    assert set() == modules & (HEAVY | {"risexp.config", "risexp.space", "risexp.app"})


def test_studies_are_shown_without_what_trains_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path))
    past_rates("toy", StudySpec.of(tiny()), {1e-3: 2.0, 2e-3: 1.5})

    codes, modules = imported(tmp_path, "study list", "study show toy", "watch toy")

    assert {0} == codes
    assert set() == modules & (HEAVY - {"numpy", "optuna"})


def test_what_reads_scenes_does_import_torch(tmp_path: Path) -> None:
    """The detector works."""
    _, modules = imported(tmp_path, "data verify nowhere")

    assert {"torch", "numpy"} <= modules
