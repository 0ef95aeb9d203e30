"""A study on the screen: a table that keeps itself up to date, or one line for what is new."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from risexp.hpo.studies.table import WORDS, StudyTable, TrialRow, TrialWord

_STYLES: Final[Mapping[TrialWord, str]] = {
    "waiting": "dim",
    "running": "bold",
    "complete": "green",
    "pruned": "yellow",
    "failed": "red",
}
_ROWS: Final = 30
"""Trials shown at once: those that run, then the best, then the last that ended, then the next."""


class StudyView:
    """Shows a study each time it is given one; a context, so that a terminal is left as it was."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = _is_live(console)
        self._screen = Live(console=console, auto_refresh=False, transient=True)
        self._lines = Lines()

    def __enter__(self) -> "StudyView":
        if self._live:
            self._screen.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._screen.stop()

    def show(self, table: StudyTable, remark: str = "") -> None:
        """Show how it stands.

        Args:
            table: The study.
            remark: Beside its name, e.g. the time it may still take.
        """
        if self._live:
            self._screen.update(live_table(table, remark), refresh=True)
            return
        for line in self._lines.new(table):
            self.say(line)

    def say(self, sentence: str) -> None:
        """A sentence that stays."""
        self._console.print(sentence, highlight=False, markup=False, soft_wrap=True)


@dataclass
class Lines:
    """One line for each thing that is new in a study, for pipes and logs."""

    _known: dict[tuple[str, int], tuple[str, int]] = field(default_factory=dict, init=False)

    def new(self, table: StudyTable) -> list[str]:
        """What happened since the last call, trial by trial."""
        lines = []
        for row in table.trials:
            trial, seen = (table.name, row.number), (row.state, row.epoch)
            if row.state != "waiting" and self._known.get(trial) != seen:
                lines.append(line(row))
            self._known[trial] = seen
        return lines


def live_table(table: StudyTable, remark: str = "") -> Group:
    """The study as a table for people."""
    best = table.best
    said = ", ".join(f"{table.count(word)} {word}" for word in WORDS if table.count(word))
    title = f"{table.name}: {said} of {table.wanted}"
    shown = Table(box=None, pad_edge=False)
    for heading, right in _HEADINGS:
        shown.add_column(heading, justify="right" if right else "left", no_wrap=True)
    for row in _chosen(table):
        style = _STYLES[row.state]
        mark = "best" if best is not None and row.number == best.number else ""
        shown.add_row(*(Text(cell, style=style) for cell in (*cells(row), mark)))
    # As a title it would be broken at the width of the columns.
    return Group(Text(f"{title}; {remark}" if remark else title), shown)


_HEADINGS: Final = (
    ("trial", True),
    ("state", False),
    ("epoch", True),
    ("k_loc", True),
    ("lowest", True),
    ("kept", True),
    ("why", False),
    ("attempt", True),
    ("", False),
)


def cells(row: TrialRow) -> tuple[str, ...]:
    """A trial's cells, under the headings."""
    why = row.reason if row.reason not in {None, row.state, "finished"} else ""
    return (
        str(row.number),
        row.state,
        str(row.epoch) if row.epoch else "",
        _number(row.k_loc),
        _number(row.best),
        _number(row.value),
        why or "",
        str(row.attempts) if row.attempts > 1 else "",
    )


def line(row: TrialRow) -> str:
    """A trial in one line."""
    said = f"trial {row.number:>3}  {row.state:<8}"
    told = f"  epoch {row.epoch:>3}  k_loc {_number(row.k_loc)}" if row.epoch else ""
    kept = f"  kept {_number(row.value)}" if row.value is not None else ""
    why = f"  {row.reason}" if row.reason not in {None, row.state, "finished"} else ""
    return f"{said}{told}{kept}{why}".rstrip()


def _chosen(table: StudyTable) -> list[TrialRow]:
    """The rows that fit, by number."""
    order: Mapping[TrialWord, int] = {
        "running": 0,
        "complete": 1,
        "pruned": 2,
        "failed": 2,
        "waiting": 3,
    }

    def rank(row: TrialRow) -> tuple[int, float]:
        if row.value is not None:
            return order[row.state], row.value
        return order[row.state], row.number if row.state == "waiting" else -row.number

    ranked = sorted(table.trials, key=rank)
    return sorted(ranked[:_ROWS], key=lambda row: row.number)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _is_live(console: Console) -> bool:
    return console.is_terminal and not console.is_dumb_terminal
