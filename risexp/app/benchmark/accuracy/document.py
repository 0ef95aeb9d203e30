"""An accuracy table as plain values: one JSON document, and one flat record a method and SNR."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from risexp.app.benchmark.accuracy.measure import AccuracyRow, AccuracyTable, average
from risexp.evaluation.groups import by_count, by_weakest
from risexp.evaluation.intervals import Interval
from risexp.evaluation.scene_scores import SceneScores
from risexp.evaluation.scores import summarise

Number = float | None
"""Null where a value is undefined: JSON knows neither NaN nor infinity."""

AXES = ("phi", "theta", "range")


def document(table: AccuracyTable) -> dict[str, Any]:
    """Everything that was measured, by method, score and SNR."""
    keys = [level.key for level in table.levels]
    return {
        "config_sha": table.config.law_sha(),
        "split": table.split,
        "seed": table.config.data.seed,
        "scenes_per_snr": table.scenes_per_snr,
        "snr_db": [level.snr_db for level in table.levels],
        "dense_ms": _finite(table.dense_ms),
        "threads": torch.get_num_threads(),
        "references": {name: _by_key(keys, values) for name, values in table.references.items()},
        "references_mean": {name: _finite(average(v)) for name, v in table.references.items()},
        "methods": {name: _method(table, name) for name in table.rows},
    }


def records(table: AccuracyTable) -> list[dict[str, float | str | None]]:
    """One flat record for each method and SNR, with the references of its scenes."""
    return [
        _record(table, name, place) for name in table.rows for place in range(len(table.levels))
    ]


def _method(table: AccuracyTable, name: str) -> dict[str, Any]:
    row, keys = table.rows[name], [level.key for level in table.levels]
    pooled, weakest = row.pooled, torch.cat([level.source_snr_db for level in table.levels])
    confusion = pooled.confusion
    return {
        **_scores(keys, row),
        "ms_per_scene": _by_key(keys, row.ms_per_scene),
        "ms_single": _finite(row.ms_single),
        "dense_ratio": _finite(table.dense_ratio(name)),
        "confusion": confusion.matrix.tolist(),
        "confusion_none": confusion.none.tolist(),
        "confusion_beyond": confusion.beyond.tolist(),
        "confusion_by_snr": {
            key: scores.confusion.matrix.tolist()
            for key, scores in zip(keys, row.scores, strict=True)
        },
        "interval": _intervals(keys, row),
        "mean": row.mean.value.as_json() | {"ms_per_scene": _finite(row.mean_ms)},
        "mean_interval": row.mean.as_json(),
        "median_over_crb_db": {
            key: dict(zip(AXES, map(_finite, over), strict=True))
            for key, over in zip(keys, row.over_crb_db, strict=True)
        },
        "by_count": {str(count): _group(part) for count, part in by_count(pooled).items()},
        "by_weakest_snr_db": {
            name: _group(part) for name, part in by_weakest(pooled, weakest).items()
        },
    }


def _scores(keys: Sequence[str], row: AccuracyRow) -> dict[str, dict[str, Number]]:
    """Every score by name and SNR."""
    values = [interval.value.as_json() for interval in row.by_level]
    return {name: _by_key(keys, [each[name] for each in values]) for name in values[0]}


def _intervals(keys: Sequence[str], row: AccuracyRow) -> dict[str, dict[str, list[Number]]]:
    ends = [interval.as_json() for interval in row.by_level]
    return {
        name: {key: each[name] for key, each in zip(keys, ends, strict=True)} for name in ends[0]
    }


def _group(scores: SceneScores) -> dict[str, Number]:
    return {"scenes": len(scores)} | summarise(scores).as_json()


def _record(table: AccuracyTable, name: str, place: int) -> dict[str, float | str | None]:
    row, level = table.rows[name], table.levels[place]
    over = zip(AXES, row.over_crb_db[place], strict=True)
    return {
        "method": name,
        "snr_db": level.snr_db,
        "scenes": table.scenes_per_snr,
        **_with_ends(row.by_level[place]),
        "ms_per_scene": row.ms_per_scene[place],
        **{f"{axis}_over_crb_db": _finite(value) for axis, value in over},
        **{reference: values[place] for reference, values in table.references.items()},
    }


def _with_ends(interval: Interval) -> Mapping[str, Number]:
    """Each score with the ends of its interval beside it."""
    values, ends = interval.value.as_json(), interval.as_json()
    return {
        f"{name}{end}": value
        for name in values
        for end, value in zip(("", "_low", "_high"), (values[name], *ends[name]), strict=True)
    }


def _by_key(keys: Sequence[str], values: Sequence[Number]) -> dict[str, Number]:
    return {key: _finite(value) for key, value in zip(keys, values, strict=True)}


def _finite(value: Number) -> Number:
    return value if value is not None and math.isfinite(value) else None
