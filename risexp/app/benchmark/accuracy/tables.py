"""An accuracy table as text: what is read first in a terminal, a block a question."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from risexp.app.benchmark.accuracy.document import AXES
from risexp.app.benchmark.accuracy.measure import AccuracyRow, AccuracyTable, average
from risexp.evaluation.intervals import Interval
from risexp.evaluation.scores import Scores

_COLUMNS = 7
"""SNRs side by side in one block."""
_REFERENCES = {
    "k_acc": ("k_reference", "k_bound", "k_chance"),
    "success_rate": ("success_reference", "success_true_count", "success_chance"),
}
"""What stands below a score, by its name in `AccuracyTable.references`."""
_TITLES = {
    "k_acc": "K accuracy, with half the width of its 95 % interval, by SNR in dB",
    "success_rate": "Success rate, likewise",
}
_CRB_TITLE = "Median error of matched pairs over the bound of the same sources, in dB, by SNR in dB"


@dataclass(frozen=True)
class TextTable:
    """Cells under headings under a title."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def text_tables(table: AccuracyTable) -> Iterator[TextTable]:
    """The blocks, each at most 100 columns wide for names of ordinary length."""
    for score, title in _TITLES.items():
        yield from _wrapped(title, ("mean",), table, _score_rows(table, score))
    yield from _wrapped(_CRB_TITLE, (), table, _over_crb_rows(table))
    yield TextTable(
        "Means over SNR, counting and success, and their shares of the references' means",
        ("method", "k_acc", "share", "success", "share", "strict", "k_loc"),
        tuple(_counting(table, name) for name in table.rows),
    )
    yield TextTable(
        "Means over SNR, errors of matched pairs (median / RMSE) and times",
        ("method", "aoa (deg)", "range (m)", "gospa (m)", "ms/scene", "single (ms)", "dense/it"),
        (*(_errors(table, name) for name in table.rows), _dense(table)),
    )


def _wrapped(
    title: str, last: tuple[str, ...], table: AccuracyTable, rows: Sequence[tuple[str, ...]]
) -> Iterator[TextTable]:
    """One block, or several where there are many SNRs; what is not an SNR ends the last."""
    keys = [level.key for level in table.levels]
    for start in range(0, len(keys), _COLUMNS):
        stop = min(start + _COLUMNS, len(keys))
        end = stop + len(last) if stop == len(keys) else stop
        headings = ("method", *(*keys, *last)[start:end])
        yield TextTable(title, headings, tuple((row[0], *row[1:][start:end]) for row in rows))


def _score_rows(table: AccuracyTable, score: str) -> list[tuple[str, ...]]:
    """Methods, then what they stand beside."""
    rows = [
        (
            name,
            *(_with_margin(interval, score, 2) for interval in row.by_level),
            _with_margin(row.mean, score, 3),
        )
        for name, row in table.rows.items()
    ]
    for reference in _REFERENCES[score]:
        values = table.references[reference]
        label = "chance" if reference.endswith("chance") else reference
        rows.append((label, *(rate(value, 2) for value in values), rate(average(values), 3)))
    return rows


def _over_crb_rows(table: AccuracyTable) -> list[tuple[str, ...]]:
    return [
        (f"{name} {axis}", *(number(over[place], 1) for over in row.over_crb_db))
        for name, row in table.rows.items()
        for place, axis in enumerate(AXES)
    ]


def _counting(table: AccuracyTable, name: str) -> tuple[str, ...]:
    row = table.rows[name]
    value = row.mean.value
    return (
        name,
        _with_ends(row.mean, "k_acc"),
        _share(value.k_acc, table.references["k_reference"]),
        _with_ends(row.mean, "success_rate"),
        _share(value.success_rate, table.references["success_reference"]),
        rate(value.success_strict, 3),
        number(value.k_loc, 2),
    )


def _errors(table: AccuracyTable, name: str) -> tuple[str, ...]:
    row: AccuracyRow = table.rows[name]
    value = row.mean.value
    return (
        name,
        f"{number(value.aoa_median, 2)} / {number(value.aoa_rmse, 2)}",
        f"{number(value.range_median, 2)} / {number(value.range_rmse, 2)}",
        number(value.gospa, 3),
        number(row.mean_ms, 2),
        number(row.ms_single, 2),
        number(table.dense_ratio(name), 1),
    )


def _dense(table: AccuracyTable) -> tuple[str, ...]:
    elements = table.config.physics.elements
    label = f"dense MUSIC, {elements} x {elements}"
    return (label, "-", "-", "-", number(table.dense_ms, 2), "-", "1.0")


def _score(scores: Scores, name: str) -> float:
    return dict(scores.items())[name]


def _with_margin(interval: Interval, score: str, digits: int) -> str:
    value, low, high = (_score(s, score) for s in (interval.value, interval.low, interval.high))
    return f"{rate(value, digits)} ±{rate((high - low) / 2.0, digits)}"


def _with_ends(interval: Interval, score: str) -> str:
    low, high = (rate(_score(s, score), 3) for s in (interval.low, interval.high))
    return f"{rate(_score(interval.value, score), 3)} [{low}, {high}]"


def _share(value: float, reference: Sequence[float]) -> str:
    whole = average(reference)
    return f"{100.0 * value / whole:.0f} %" if whole > 0.0 else "-"


def rate(value: float, digits: int) -> str:
    """Without the zero before the point, which every rate below one has."""
    return number(value, digits).removeprefix("0")


def number(value: float, digits: int) -> str:
    """To so many digits; a dash for what is undefined."""
    # Adding zero takes the sign from what is rounded to nothing.
    return f"{round(value, digits) + 0.0:.{digits}f}" if math.isfinite(value) else "-"
