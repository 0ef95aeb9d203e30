"""Studies for people: list, watch and stop them, as a live table or line by line."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, Self

import optuna
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from risexp.core.printable import printable
from risexp.errors import DataInvalid, InvalidInput
from risexp.hpo.store.address import store_url
from risexp.hpo.store.retry import Retry
from risexp.hpo.store.store import NotMade, StudyStore, read_store
from risexp.hpo.studies.study import End, TrialWord, end_study, find_study, study_names
from risexp.hpo.studies.table import WORDS, StudyTable, TrialRow, study_table
from risexp.hpo.trials.failed_trials import retry

_LOOK_S: Final = 1.0
_STYLES: Final[Mapping[TrialWord, str]] = {
    "waiting": "dim",
    "running": "bold",
    "complete": "green",
    "pruned": "yellow",
    "failed": "red",
}
_ROWS: Final = 30
"""Trials in the live table: running, then the best, then the last that ended, then the next."""
_ORDER: Final[Mapping[TrialWord, int]] = {
    "running": 0,
    "complete": 1,
    "pruned": 2,
    "failed": 2,
    "waiting": 3,
}
_HEADINGS: Final = ("trial", "state", "epoch", "k_loc", "lowest", "kept", "why", "attempt", "")
_WORDS: Final = ("state", "why", "")
"""Headings of the columns that hold words; the others hold numbers."""


@contextmanager
def open_studies(make: Callable[[str | None], StudyStore] = read_store) -> Iterator[StudyStore]:
    """The store of this home, or the one that the environment names; only `open_store` makes it."""
    # Optuna's own messages are not for users of the command line.
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    store = make(store_url())
    try:
        yield store
    finally:
        store.close()


def list_studies() -> tuple[list[StudyTable], list[str]]:
    """Every study that risexp made, and one sentence about each that cannot be read.

    Without a store there are none, and one sentence that says so.
    """
    try:
        with open_studies() as store:
            return _tables(store)
    except NotMade as error:
        return [], [str(error)]


def _tables(store: StudyStore) -> tuple[list[StudyTable], list[str]]:
    tables, faults = [], []
    for name in sorted(study_names(store)):
        try:
            tables.append(study_table(store, find_study(store, name)))
        except (InvalidInput, DataInvalid) as error:
            faults.append(str(error))
    return tables, faults


def show_study(name: str) -> StudyTable:
    """The present state of a study."""
    with open_studies() as store:
        return study_table(store, find_study(store, name))


def retry_trials(name: str, numbers: Collection[int]) -> None:
    """Let failed trials of a study wait again."""
    with open_studies() as store:
        retry(store, find_study(store, name), numbers)


def stop_study(name: str) -> End:
    """End a study: running trials are released at the end of their epoch, and wait."""
    with open_studies() as store:
        study = find_study(store, name)
        if study_table(store, study).over:
            raise InvalidInput(f"nothing of study {name} is left to be stopped")
        return end_study(store, study, "stopped by hand")


class StudyView:
    """Shows a study as it goes on: a live table in a terminal, else a line for each change.

    A context, so that the terminal is restored.
    """

    def __init__(self, console: Console) -> None:
        self.sentences: list[str] = []
        """Everything that was said, for documents."""
        self._console = console
        self._live = console.is_terminal and not console.is_dumb_terminal
        self._screen = Live(console=console, auto_refresh=False, transient=True)
        self._known: dict[tuple[str, int], tuple[str, int]] = {}

    def __enter__(self) -> Self:
        if self._live:
            self._screen.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._screen.stop()

    def show(self, table: StudyTable, remark: str = "") -> None:
        """Show the state of a study, with a remark beside its name, e.g. the time that is left."""
        if self._live:
            self._screen.update(live_table(table, remark), refresh=True)
            return
        for row in table.trials:
            trial, state = (table.name, row.number), (row.state, row.epoch)
            if row.state != "waiting" and self._known.get(trial) != state:
                self._print(line(row))
            self._known[trial] = state

    def say(self, sentence: str) -> None:
        """Print a sentence that stays."""
        self.sentences.append(sentence)
        self._print(sentence)

    def _print(self, text: str) -> None:
        self._console.print(printable(text), highlight=False, markup=False, soft_wrap=True)


def watch_study(name: str, view: StudyView) -> StudyTable:
    """Show a study until all its trials have finished, or it has ended and none of them runs."""
    with open_studies() as opened:
        # A database that answered once is waited for: it may only restart.
        store = opened.patient(Retry.limit_s)
        study = find_study(store, name)
        while True:
            table = study_table(store, study)
            view.show(table)
            if table.over or (table.ended is not None and not table.count("running")):
                return table
            time.sleep(_LOOK_S)


def live_table(table: StudyTable, remark: str = "") -> Group:
    """A study as a table for a terminal."""
    best = table.best
    counts = ", ".join(f"{table.count(word)} {word}" for word in WORDS if table.count(word))
    title = f"{table.name}: {counts} of {table.wanted}"
    grid = Table(box=None, pad_edge=False)
    for heading in _HEADINGS:
        grid.add_column(heading, justify="left" if heading in _WORDS else "right", no_wrap=True)
    for row in _shown_rows(table):
        mark = "best" if best is not None and row.number == best.number else ""
        grid.add_row(*(Text(cell, style=_STYLES[row.state]) for cell in (*cells(row), mark)))
    # As a title of the grid it would be broken at the width of the columns.
    return Group(Text(f"{title}; {remark}" if remark else title), grid)


def cells(row: TrialRow) -> tuple[str, ...]:
    """A trial's cells, under the headings."""
    return (
        str(row.number),
        row.state,
        str(row.epoch) if row.epoch else "",
        _number(row.k_loc),
        _number(row.best),
        _number(row.value),
        _why(row),
        str(row.attempts) if row.attempts > 1 else "",
    )


def line(row: TrialRow) -> str:
    """A trial in one line."""
    epoch = f"  epoch {row.epoch:>3}  k_loc {_number(row.k_loc)}" if row.epoch else ""
    kept = f"  kept {_number(row.value)}" if row.value is not None else ""
    return f"trial {row.number:>3}  {row.state:<8}{epoch}{kept}  {_why(row)}".rstrip()


def _why(row: TrialRow) -> str:
    """The reason of a trial's end, where its state does not say it."""
    return "" if row.reason in {None, row.state, "finished"} else str(row.reason)


def _shown_rows(table: StudyTable) -> list[TrialRow]:
    """The rows that fit, by number."""

    def rank(row: TrialRow) -> tuple[int, float]:
        if row.value is not None:
            return _ORDER[row.state], row.value
        return _ORDER[row.state], row.number if row.state == "waiting" else -row.number

    return sorted(sorted(table.trials, key=rank)[:_ROWS], key=lambda row: row.number)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
