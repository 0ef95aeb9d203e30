"""What commands cost that a person waits for, on a home that `large_home.py` made.

Each command runs in a process of its own, and nothing is computed again. Printed are processor
time, peak memory, SQL statements, and files that were opened beside Python's own.

    python benchmarks/waiting.py --home DIR [--study large] [--only NAME...] [--json]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

COMMANDS: Final[Mapping[str, str]] = {
    "--help": "--help",
    "study list": "study list",
    "study show": "study show {study}",
    "watch": "watch {study}",
    "show run": "show run {study}-000",
    "report": "report --study {study} --scenes 0 --out {folder}/report.html",
    "doctor": "doctor",
}
COLUMNS: Final = {"cpu_s": ".2f", "peak_mb": ".0f", "statements": "d", "files": "d", "code": "d"}
PROGRAM: Final = """
import json, os, sys, time
answer, home, *command = sys.argv[1:]
counts = {"statements": 0, "files": 0}
def opened(event, arguments):
    if event == "open" and str(arguments[0]).startswith(home):
        counts["files"] += 1
sys.addaudithook(opened)
if command != ["--help"]:
    from sqlalchemy import event
    from sqlalchemy.engine import Engine
    @event.listens_for(Engine, "before_cursor_execute")
    def executed(*_):
        counts["statements"] += 1
from risexp.cli.main import main
code = None
try:
    main(command)
except SystemExit as left:
    code = left.code
status = open("/proc/self/status").read()
peak = int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6
spent = sum(os.times()[:4])
with open(answer, "w") as file:
    json.dump({"code": code, "cpu_s": spent, "peak_mb": peak, **counts}, file)
"""


def main() -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--study", default="large")
    parser.add_argument("--only", nargs="*", default=list(COMMANDS), choices=COMMANDS)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found = {name: measured(given.home.absolute(), given.study, name) for name in given.only}
    print(json.dumps(found) if given.json else text(found))


def measured(home: Path, study: str, name: str) -> dict[str, float]:
    """One run of a command."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("RISEXP_")}
    with tempfile.TemporaryDirectory() as folder:
        command = COMMANDS[name].format(study=study, folder=folder).split()
        answer = Path(folder) / "answer.json"
        subprocess.run(  # noqa: S603 - our own interpreter and program
            [sys.executable, "-c", PROGRAM, str(answer), str(home), *command],
            env={**environment, "RISEXP_HOME": str(home)},
            stdout=subprocess.DEVNULL,
            check=True,
        )
        result: dict[str, float] = json.loads(answer.read_text(encoding="utf-8"))
        return result


def text(found: Mapping[str, Mapping[str, float]]) -> str:
    """A row a command."""
    rows: list[Sequence[str]] = [["command", *COLUMNS]]
    for name, values in found.items():
        rows.append([name, *(f"{values[key]:{form}}" for key, form in COLUMNS.items())])
    return "\n".join("  ".join(f"{cell:<11}" for cell in row).rstrip() for row in rows)


if __name__ == "__main__":
    main()
