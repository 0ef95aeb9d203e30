"""Prints the table of injected faults from the report of `make faults`; writes it into the docs.

    pytest -m fault --junitxml build/faults.xml
    python benchmarks/faults.py build/faults.xml [--write]

The row of the soak stays what the docs say until `make soak` runs another one, whose report in turn
changes that row alone.

Every test of a fault carries its number. It says how many faults it injected (one if it says
nothing), on which database, what was lost or done twice by an oracle of its own, and how long
recovery took. A test that fails survives none of its faults. The exit code is 4 where one did not.
"""

import argparse
import os
import platform
import statistics
import subprocess
import xml.etree.ElementTree as ET
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

FAULTS: Final = {
    "F1": "kill storm",
    "F2": "death at a named point of the protocol",
    "F3": "the command line is killed",
    "F4": "zombie: stopped beyond its lease, then continued",
    "F5": "database restarts or is away",
    "F6": "database is locked",
    "F7": "tracking server down, hung or flapping",
    "F8": "resume over steps that were sent",
    "F9": "resume at any step of a run",
    "F10": "damaged files",
    "F11": "death at any operation of a save",
    "F12": "disk full, then room again",
    "F13": "folder read-only, missing or forbidden",
    "F14": "signal at any moment",
    "F15": "requeue by an engine",
    "F16": "processes that start at once",
    "F17": "load",
    "F18": "out of memory",
    "F19": "NaN or infinity",
    "F20": "bad input",
    "F21": "HTTP attacks",
    "F22": "planted secrets",
    "F23": "clock jumps",
    "F24": "hang",
    "F25": "mixed soak",
}
SOAK: Final = "F25"
MISSING: Final = {
    "F15": "to come with the engines",
    SOAK: "only in a soak",
}
"""Why a class has no row."""
PAGE: Final = Path(__file__).parents[1] / "docs" / "reliability.md"
_BEGIN, _END = "<!-- table -->", "<!-- end of table -->"
_HEAD: Final = (
    *("class", "what", "database", "injected", "survived", "lost", "duplicated"),
    *("recovery p50 s", "p95 s"),
)


@dataclass
class Row:
    """One class on one database."""

    injected: int = 0
    survived: int = 0
    lost: int = 0
    duplicated: int = 0
    recovery_s: list[float] = field(default_factory=list)
    figures: list[str] = field(default_factory=list)
    """What its tests measured besides."""
    what: str = ""
    """What a test says of itself, in place of the class's words."""

    def cells(self) -> list[str]:
        """As text."""
        cuts = statistics.quantiles(self.recovery_s, n=20) if len(self.recovery_s) > 1 else []
        p50 = f"{statistics.median(self.recovery_s):.2f}" if self.recovery_s else ""
        counts = (self.injected, self.survived, self.lost, self.duplicated)
        return [*map(str, counts), p50, f"{cuts[18]:.2f}" if cuts else p50]


def rows_of(report: Path) -> dict[tuple[str, str], Row]:
    """The rows by class and database."""
    rows = defaultdict[tuple[str, str], Row](Row)
    for case in ET.parse(report).iter("testcase"):  # noqa: S314 - pytest has just written it
        said = defaultdict[str, list[str]](list)
        for entry in case.iter("property"):
            said[entry.attrib["name"]].append(entry.attrib["value"])
        if case.find("skipped") is not None:
            continue
        failed = case.find("failure") is not None or case.find("error") is not None
        for fault in said["fault"]:
            row = rows[fault, (said["database"] or [""])[0]]
            injected = sum(map(int, said["injected"])) or 1
            row.injected += injected
            row.survived += 0 if failed else injected
            row.lost += sum(map(int, said["lost"]))
            row.duplicated += sum(map(int, said["duplicated"]))
            row.recovery_s += map(float, said["recovery_s"])
            row.figures += said["figure"]
            row.what = "".join(said["what"])
    return rows


def table_of(
    rows: dict[tuple[str, str], Row], before: list[list[str]] | None = None
) -> list[list[str]]:
    """One line a class and database, in the order of the classes.

    `before` are the lines of the docs: a report of a soak changes its own, any other one the rest.
    """
    lines = list[list[str]]()
    only_soak = {name for name, _ in rows} == {SOAK}
    for fault, what in FAULTS.items():
        known = [line for line in before or () if line[0] == fault]
        own = {database: row for (name, database), row in rows.items() if name == fault}
        lines += [
            [fault, row.what or what, base, *row.cells()] for base, row in sorted(own.items())
        ]
        if own and fault == SOAK:
            lines += [line for line in known if line[2] and line[2] not in own]
        if own:
            continue
        if known and (only_soak or fault == SOAK):
            lines += known
        else:
            lines.append([fault, what, "", MISSING.get(fault, "not run"), *[""] * 5])
    return lines


def lines_of(page: str) -> list[list[str]]:
    """The lines of the table in the docs."""
    rows = (line.split("|")[1:-1] for line in page.splitlines() if line.startswith("| F"))
    return [[cell.strip() for cell in row] for row in rows]


def figures_of(rows: dict[tuple[str, str], Row], page: str) -> list[str]:
    """One line a class and database whose tests measured something besides; else the old ones."""
    return [
        f"- {' '.join(filter(None, (fault, database)))}: {'; '.join(row.figures)}"
        for fault in FAULTS
        for (name, database), row in sorted(rows.items())
        if name == fault and row.figures
    ] or [line for line in page.splitlines() if line.startswith("- ")]


def heading() -> str:
    """Date, commit and machine."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],  # noqa: S607 - the user's own git
        capture_output=True,
        check=False,
        text=True,
        cwd=PAGE.parent,
    ).stdout.strip()
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()}"
    return f"{datetime.now(UTC):%Y-%m-%d}, commit {commit or 'unknown'}, {machine}."


def markdown(head: str, lines: list[list[str]], figures: list[str]) -> str:
    """The table under its heading, and the figures below it."""
    rule = ["---"] * len(_HEAD)
    text = "\n".join(f"| {' | '.join(cells)} |" for cells in (_HEAD, rule, *lines))
    below = ["", "Measured in the same run, on a machine that did all of the above:", "", *figures]
    return "\n".join([head, "", text, *(below if figures else [])])


def main() -> None:
    """Print the table, and write it on request."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("report", type=Path)
    parser.add_argument("--write", action="store_true", help="into docs/reliability.md")
    options = parser.parse_args()
    rows = rows_of(options.report)
    before, _, rest = PAGE.read_text("utf-8").partition(_BEGIN)
    old, _, after = rest.partition(_END)
    head = old.strip().splitlines()[0] if {name for name, _ in rows} == {SOAK} else heading()
    table = markdown(head, table_of(rows, lines_of(old)), figures_of(rows, old))
    print(table)
    if options.write:
        PAGE.write_text(f"{before}{_BEGIN}\n{table}\n{_END}{after}", "utf-8")
    sound = all(
        row.survived == row.injected and not row.lost + row.duplicated for row in rows.values()
    )
    raise SystemExit(0 if sound else 4)


if __name__ == "__main__":
    main()
