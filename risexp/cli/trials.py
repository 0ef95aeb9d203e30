"""Trials of a study as people read them: a table, a line, and one trial beside the base."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from pydantic import JsonValue

from risexp.cli.output import say, table
from risexp.errors import InvalidInput

if TYPE_CHECKING:
    from risexp.hpo.studies.table import StudyTable, TrialRow

_FEW: Final = 6
"""Fields that a row of a table has room for."""


def study_rows(rows: Sequence["TrialRow"]) -> None:
    """Trials as a table; of many fields, one trial beside another says more than a row."""
    fields = {path for row in rows for path in row.values}
    few = len(fields) <= _FEW
    headings = ["trial", "state", "epochs", "k_loc", "lowest", "why"]
    table([*headings, "searched"] if few else headings, [_cells(row, few=few) for row in rows])


def study_summary(shown: "StudyTable") -> str:
    """A study in one line."""
    from risexp.hpo.studies.table import WORDS

    said = ", ".join(f"{shown.count(word)} {word}" for word in WORDS if shown.count(word))
    why = "" if shown.ended is None else f"; ended: {shown.ended}"
    return f"study {shown.name}: {said} of {shown.wanted}, {shown.epochs} epochs{why}"


def best_trial(shown: "StudyTable") -> None:
    """The best trial, and what it has that trial 0 has not."""
    best = shown.best
    if best is None:
        return
    say(f"best: trial {best.number}, k_loc {number(best.value)}, run {run_of(shown, best)}")
    if best.number:
        beside_base(shown, best)


def trial_of(shown: "StudyTable", wanted: int) -> "TrialRow":
    """A trial by its number.

    Raises:
        InvalidInput: The study has none of that number.
    """
    for row in shown.trials:
        if row.number == wanted:
            return row
    raise InvalidInput(f"study {shown.name} has trials 0 to {len(shown.trials) - 1}, not {wanted}")


def beside_base(shown: "StudyTable", row: "TrialRow") -> None:
    """The fields in which a trial differs from trial 0, which is the base, once both have some."""
    base, values = shown.trials[0].values, row.values
    if not base or not values:
        return
    paths = [path for path in {**base, **values} if base.get(path) != values.get(path)]
    if not paths:
        return
    say("")
    headings = ["searched", "trial 0", f"trial {row.number}"]
    table(headings, [(path, _value(base, path), _value(values, path)) for path in paths])
    say("")


def run_of(shown: "StudyTable", row: "TrialRow") -> str:
    """The run of a trial."""
    from risexp.hpo.studies.study import run_id

    return run_id(shown.name, row.number)


def number(value: float | None) -> str:
    """A score, or nothing."""
    return "" if value is None else f"{value:.3f}"


def say_unsent(count: int) -> None:
    """That a part of the record is in no store yet, where it is so."""
    if count:
        say(f"{count} lines of the record are not in MLflow yet: risexp sync")


def _cells(row: "TrialRow", *, few: bool) -> list[object]:
    score = row.value if row.value is not None else row.k_loc
    cells = [row.number, row.state, row.epoch, number(score), number(row.best), row.reason or ""]
    said = ", ".join(f"{path} = {_short(value)}" for path, value in row.values.items())
    return [*cells, said] if few else [*cells]


def _value(values: Mapping[str, JsonValue], path: str) -> str:
    return _short(values[path]) if path in values else ""


def _short(value: JsonValue) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
