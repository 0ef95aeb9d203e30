"""What is only looked at imports nothing heavy."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {"torch", "numpy", "scipy", "pandas", "mlflow", "optuna", "matplotlib", "sklearn"}

PROGRAM = """
import json, sys
from risexp.cli.main import main
try:
    main(sys.argv[2:])
except SystemExit as left:
    code = left.code
with open(sys.argv[1], "w") as file:
    json.dump({"code": code, "modules": sorted({name.split(".")[0] for name in sys.modules})}, file)
"""


def imported(folder: Path, command: str) -> tuple[int, set[str]]:
    """Exit code of a command and every package its process has imported."""
    said = folder / "said.json"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RISEXP_")}
    subprocess.run(  # noqa: S603 - our own interpreter and program
        [sys.executable, "-c", PROGRAM, str(said), *command.split()],
        capture_output=True,
        check=True,
        cwd=folder,
        env=environment,
    )
    found = json.loads(said.read_text(encoding="utf-8"))
    return found["code"], set(found["modules"])


@pytest.mark.parametrize(
    "command",
    ["--help", "space check", "space list", "config show --preset smoke", "hpo --help"],
)
def test_what_computes_nothing_imports_nothing_heavy(tmp_path: Path, command: str) -> None:
    code, modules = imported(tmp_path, command)

    assert code == 0
    assert {"risexp", "pydantic", "typer"} <= modules
    assert modules & HEAVY == set()


def test_what_draws_scenes_does_import_torch(tmp_path: Path) -> None:
    """The detector detects; and asking for the help of a heavy command is still light."""
    _, modules = imported(tmp_path, "data verify nowhere")
    _, of_help = imported(tmp_path, "data verify --help")

    assert {"torch", "numpy"} <= modules
    assert of_help & HEAVY == set()
