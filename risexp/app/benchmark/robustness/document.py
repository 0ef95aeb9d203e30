"""A robustness table as a result: its JSON document, flat records, and blocks of text."""

from collections.abc import Iterator
from functools import partial
from typing import Any, Final

from risexp.app.benchmark.results import (
    BenchmarkResult,
    Number,
    Record,
    TextTable,
    number,
    rate,
    score_ends,
    with_ends,
)
from risexp.app.benchmark.robustness.measure import (
    SPLIT,
    MethodAnswers,
    RobustnessRow,
    RobustnessTable,
)
from risexp.app.benchmark.robustness.plots import draw_levels
from risexp.evaluation.intervals import Interval

LEGEND: Final = (
    "medians of aoa in deg and of range in m; lost: success without the disturbance minus with it, "
    "paired"
)
_LOST: Final = ("success_rate", "success_strict", "k_acc")
"""Scores whose losses are kept."""


def robustness_result(table: RobustnessTable) -> BenchmarkResult:
    """Everything that is shown and kept of a robustness table."""
    figures = {
        f"levels_{snr_db:g}dB": partial(draw_levels, table, snr_db) for snr_db in table.snr_db
    }
    records, blocks = list(_records(table)), tuple(_blocks(table))
    return BenchmarkResult("robustness", _document(table), records, blocks, figures)


def _document(table: RobustnessTable) -> dict[str, Any]:
    """Everything that was measured, by scenario, SNR, level and method."""
    scenarios: dict[str, Any] = {}
    for row in table.outcomes:
        entry = scenarios.setdefault(row.name, _scenario(row))
        entry["snr"][f"{row.snr_db:g}"] = _levels(row)
    return {
        "config_sha": table.config.law_sha(),
        "split": SPLIT,
        "seed": table.config.data.seed,
        "scenes_per_snr": table.scenes,
        "snr_db": list(table.snr_db),
        "methods": list(table.methods),
        "scenarios": scenarios,
    }


def _scenario(row: RobustnessRow) -> dict[str, Any]:
    scenario = row.scenario
    return {
        "about": scenario.about,
        "axis": scenario.axis,
        "config_sha": scenario.config.law_sha(),
        "levels": [level.name for level in scenario.levels],
        "receiver_sha": {level.name: level.receiver.law_sha() for level in scenario.levels},
        "undisturbed": scenario.undisturbed,
        "sources_min": scenario.sources_min,
        "snr": {},
    }


def _levels(row: RobustnessRow) -> dict[str, Any]:
    return {
        level: {
            method: _answers(answers) | {"found_by_range": row.found_by_range(level, method)}
            for method, answers in by_method.items()
        }
        for level, by_method in row.answers.items()
    }


def _answers(answers: MethodAnswers) -> dict[str, Any]:
    """Scores with their intervals; losses are null where nothing is disturbed."""
    lost = answers.lost
    return {
        **answers.interval.value.as_json(),
        "interval": answers.interval.as_json(),
        "broken": answers.broken,
        "lost": None if lost is None else {name: lost.value.as_json()[name] for name in _LOST},
        "lost_interval": None if lost is None else {name: lost.as_json()[name] for name in _LOST},
    }


def _records(table: RobustnessTable) -> Iterator[Record]:
    """One for each scenario, SNR, level and method."""
    for row in table.outcomes:
        for level, by_method in row.answers.items():
            for method, answers in by_method.items():
                yield {
                    "scenario": row.name,
                    "snr_db": row.snr_db,
                    "level": level,
                    "undisturbed": str(level == row.scenario.undisturbed).lower(),
                    "method": method,
                    "scenes": table.scenes,
                    "broken": answers.broken,
                    **with_ends(answers.interval),
                    **_losses(answers.lost),
                }


def _losses(lost: Interval | None) -> dict[str, Number]:
    """Each loss with the ends of its interval; null where nothing is disturbed."""
    known = {} if lost is None else with_ends(lost)
    ends = ("", "_low", "_high")
    return {f"{name}_lost{end}": known.get(f"{name}{end}") for name in _LOST for end in ends}


def _blocks(table: RobustnessTable) -> Iterator[TextTable]:
    """A block for each scenario and SNR, and where near sources suffer most."""
    for row in table.outcomes:
        yield _scores(row)
        if row.scenario.by_range:
            yield _by_range(row)


def _scores(row: RobustnessRow) -> TextTable:
    return TextTable(
        f"{row.name}, {row.snr_db:g} dB: {row.scenario.about}{_breakdowns(row)}",
        ("level", "method", "k_acc", "success", "strict", "aoa", "range", "k_loc", "lost"),
        tuple(
            (level, method, *_cells(answers))
            for level, by_method in row.answers.items()
            for method, answers in by_method.items()
        ),
    )


def _breakdowns(row: RobustnessRow) -> str:
    """Answers that are not finite, which would otherwise pass for a wrong count."""
    broken: dict[str, int] = {}
    for by_method in row.answers.values():
        for method, answers in by_method.items():
            broken[method] = broken.get(method, 0) + answers.broken
    named = ", ".join(f"{method} {times}" for method, times in broken.items() if times)
    return f"\nno finite answer, scored as no source: {named}" if named else ""


def _cells(answers: MethodAnswers) -> tuple[str, ...]:
    value = answers.interval.value
    return (
        _with_ends(answers.interval, "k_acc", 2),
        rate(value.success_rate, 3),
        rate(value.success_strict, 3),
        number(value.aoa_median, 2),
        number(value.range_median, 2),
        number(value.k_loc, 2),
        "-" if answers.lost is None else _with_ends(answers.lost, "success_rate", 3),
    )


def _with_ends(interval: Interval, score: str, digits: int) -> str:
    value, low, high = score_ends(interval, score)
    return f"{_difference(value, digits)} [{_difference(low, 2)},{_difference(high, 2)}]"


def _difference(value: float, digits: int) -> str:
    """A rate, or the difference of two."""
    return rate(value, digits).replace("-0.", "-.")


def _by_range(row: RobustnessRow) -> TextTable:
    """Shares of sources, whether or not the rest of their scene is right."""
    shares = {
        (level, method): row.found_by_range(level, method)
        for level, by_method in row.answers.items()
        for method in by_method
    }
    bins = next(iter(shares.values()))
    return TextTable(
        f"{row.name}, {row.snr_db:g} dB: share of sources located, by their range",
        ("level", "method", *bins),
        tuple(
            (level, method, *(rate(share, 3) for share in by_bin.values()))
            for (level, method), by_bin in shares.items()
        ),
    )
