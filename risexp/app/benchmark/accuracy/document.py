"""An accuracy table as a result: its JSON document, flat records, and blocks of text."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import torch

from risexp.app.benchmark.accuracy.measure import AccuracyTable, average
from risexp.app.benchmark.accuracy.plots import FIGURES
from risexp.app.benchmark.results import (
    BenchmarkResult,
    Number,
    Record,
    TextTable,
    finite,
    number,
    rate,
    score_ends,
    with_ends,
)
from risexp.evaluation.intervals import Interval
from risexp.evaluation.scene_scores import SceneScores, by_count, by_weakest
from risexp.evaluation.scores import summarise

_AXES = ("phi", "theta", "range")
_COLUMNS = 7
"""SNRs side by side in one block."""
_REFERENCES = {
    "k_acc": ("k_reference", "k_bound", "k_chance"),
    "success_rate": ("success_reference", "success_true_count", "success_chance"),
}
"""The references below a score, by its name in `AccuracyTable.references`."""
_TITLES = {
    "k_acc": "K accuracy, with half the width of its 95 % interval, by SNR in dB",
    "success_rate": "Success rate, likewise",
}
_CRB_TITLE = "Median error of matched pairs over the bound of the same sources, in dB, by SNR in dB"


def accuracy_result(table: AccuracyTable) -> BenchmarkResult:
    """Everything that is shown and kept of an accuracy table."""
    figures = {name: partial(draw, table) for name, draw in FIGURES.items()}
    records = [
        _record(table, name, place) for name in table.rows for place in range(len(table.levels))
    ]
    return BenchmarkResult("accuracy", _document(table), records, tuple(_blocks(table)), figures)


def _document(table: AccuracyTable) -> dict[str, Any]:
    """Everything that was measured, by method, score and SNR."""
    keys = [level.key for level in table.levels]
    return {
        "config_sha": table.config.law_sha(),
        "split": table.split,
        "seed": table.config.data.seed,
        "scenes_per_snr": table.scenes_per_snr,
        "snr_db": [level.snr_db for level in table.levels],
        "dense_ms": finite(table.dense_ms),
        "threads": torch.get_num_threads(),
        "references": {name: _by_key(keys, values) for name, values in table.references.items()},
        "references_mean": {name: finite(average(v)) for name, v in table.references.items()},
        "methods": {name: _method(table, name) for name in table.rows},
    }


def _method(table: AccuracyTable, name: str) -> dict[str, Any]:
    row, keys = table.rows[name], [level.key for level in table.levels]
    pooled, weakest = row.pooled, torch.cat([level.source_snr_db for level in table.levels])
    confusion = pooled.confusion
    values = [interval.value.as_json() for interval in row.by_level]
    ends = [interval.as_json() for interval in row.by_level]
    return {
        **{score: _by_key(keys, [each[score] for each in values]) for score in values[0]},
        "ms_per_scene": _by_key(keys, row.ms_per_scene),
        "ms_single": finite(row.ms_single),
        "dense_ratio": finite(table.dense_ratio(name)),
        "confusion": confusion.matrix.tolist(),
        "confusion_none": confusion.none.tolist(),
        "confusion_beyond": confusion.beyond.tolist(),
        "confusion_by_snr": {
            key: scores.confusion.matrix.tolist()
            for key, scores in zip(keys, row.scores, strict=True)
        },
        "interval": {
            score: {key: each[score] for key, each in zip(keys, ends, strict=True)}
            for score in ends[0]
        },
        "mean": row.mean.value.as_json() | {"ms_per_scene": finite(row.mean_ms)},
        "mean_interval": row.mean.as_json(),
        "median_over_crb_db": {
            key: _by_key(_AXES, over) for key, over in zip(keys, row.over_crb_db, strict=True)
        },
        "by_count": {str(count): _group(part) for count, part in by_count(pooled).items()},
        "by_weakest_snr_db": {
            bin_name: _group(part) for bin_name, part in by_weakest(pooled, weakest).items()
        },
    }


def _group(scores: SceneScores) -> dict[str, Number]:
    return {"scenes": len(scores)} | summarise(scores).as_json()


def _by_key(keys: Sequence[str], values: Sequence[Number]) -> dict[str, Number]:
    return {key: finite(value) for key, value in zip(keys, values, strict=True)}


def _record(table: AccuracyTable, name: str, place: int) -> Record:
    """One method at one SNR, with the references of its scenes."""
    row, level = table.rows[name], table.levels[place]
    over = _by_key(_AXES, row.over_crb_db[place])
    return {
        "method": name,
        "snr_db": level.snr_db,
        "scenes": table.scenes_per_snr,
        **with_ends(row.by_level[place]),
        "ms_per_scene": row.ms_per_scene[place],
        **{f"{axis}_over_crb_db": value for axis, value in over.items()},
        **{reference: values[place] for reference, values in table.references.items()},
    }


def _blocks(table: AccuracyTable) -> Iterator[TextTable]:
    """One block for each question."""
    for score, title in _TITLES.items():
        yield from _wrapped(title, ("mean",), table, _score_rows(table, score))
    yield from _wrapped(_CRB_TITLE, (), table, _over_crb_rows(table))
    yield TextTable(
        "Means over SNR, counting and success, and their shares of the references' means",
        ("method", "k_acc", "share", "success", "share", "strict", "k_loc"),
        tuple(_counting(table, name) for name in table.rows),
    )
    label = f"dense MUSIC, {table.config.physics.elements} x {table.config.physics.elements}"
    yield TextTable(
        "Means over SNR, errors of matched pairs (median / RMSE) and times",
        ("method", "aoa (deg)", "range (m)", "gospa (m)", "ms/scene", "single (ms)", "dense/it"),
        (
            *(_errors(table, name) for name in table.rows),
            (label, "-", "-", "-", number(table.dense_ms, 2), "-", "1.0"),
        ),
    )


def _wrapped(
    title: str, last: tuple[str, ...], table: AccuracyTable, rows: Sequence[tuple[str, ...]]
) -> Iterator[TextTable]:
    """One block, or several where there are many SNRs; the `last` columns end the last block."""
    keys = [level.key for level in table.levels]
    for start in range(0, len(keys), _COLUMNS):
        stop = min(start + _COLUMNS, len(keys))
        end = stop + len(last) if stop == len(keys) else stop
        headings = ("method", *(*keys, *last)[start:end])
        yield TextTable(title, headings, tuple((row[0], *row[1:][start:end]) for row in rows))


def _score_rows(table: AccuracyTable, score: str) -> list[tuple[str, ...]]:
    """The methods, and below them the references."""
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
        for place, axis in enumerate(_AXES)
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
    row = table.rows[name]
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


def _with_margin(interval: Interval, score: str, digits: int) -> str:
    value, low, high = score_ends(interval, score)
    return f"{rate(value, digits)} ±{rate((high - low) / 2.0, digits)}"


def _with_ends(interval: Interval, score: str) -> str:
    value, low, high = score_ends(interval, score)
    return f"{rate(value, 3)} [{rate(low, 3)}, {rate(high, 3)}]"


def _share(value: float, reference: Sequence[float]) -> str:
    whole = average(reference)
    return f"{100.0 * value / whole:.0f} %" if whole > 0.0 else "-"
