"""A robustness table as plain values: one JSON document, and one flat record an answer."""

from collections.abc import Iterator
from typing import Any, Final

from risexp.app.benchmark.robustness.measure import (
    SPLIT,
    MethodAnswers,
    RobustnessRow,
    RobustnessTable,
)
from risexp.evaluation.intervals import Interval

Number = float | None
"""Null where a value is undefined: JSON knows neither NaN nor infinity."""

LOST: Final = ("success_rate", "success_strict", "k_acc")
"""Scores whose losses are kept."""
_ENDS: Final = ("", "_low", "_high")


def document(table: RobustnessTable) -> dict[str, Any]:
    """Everything that was measured, by scenario, SNR, level and method."""
    scenarios: dict[str, Any] = {}
    for outcome in table.outcomes:
        found = scenarios.setdefault(outcome.name, _scenario(outcome))
        found["snr"][f"{outcome.snr_db:g}"] = _levels(outcome)
    return {
        "config_sha": table.config.law_sha(),
        "split": SPLIT,
        "seed": table.config.data.seed,
        "scenes_per_snr": table.scenes,
        "snr_db": list(table.snr_db),
        "methods": list(table.methods),
        "scenarios": scenarios,
    }


def records(table: RobustnessTable) -> Iterator[dict[str, float | str | None]]:
    """One flat record for each scenario, SNR, level and method."""
    for outcome in table.outcomes:
        for level, by_method in outcome.answers.items():
            for method, answers in by_method.items():
                yield {
                    "scenario": outcome.name,
                    "snr_db": outcome.snr_db,
                    "level": level,
                    "undisturbed": str(level == outcome.scenario.undisturbed).lower(),
                    "method": method,
                    "scenes": table.scenes,
                    "broken": answers.broken,
                    **_flat(answers),
                }


def _scenario(outcome: RobustnessRow) -> dict[str, Any]:
    scenario = outcome.scenario
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


def _levels(outcome: RobustnessRow) -> dict[str, Any]:
    return {
        level: {
            method: _answers(answers) | {"found_by_range": outcome.found_by_range(level, method)}
            for method, answers in by_method.items()
        }
        for level, by_method in outcome.answers.items()
    }


def _answers(answers: MethodAnswers) -> dict[str, Any]:
    """Scores with their intervals; losses are null where nothing is disturbed."""
    lost = answers.lost
    return {
        **answers.interval.value.as_json(),
        "interval": answers.interval.as_json(),
        "broken": answers.broken,
        "lost": None if lost is None else {name: lost.value.as_json()[name] for name in LOST},
        "lost_interval": None if lost is None else {name: lost.as_json()[name] for name in LOST},
    }


def _flat(answers: MethodAnswers) -> dict[str, Number]:
    """Each score and each loss with the ends of its interval beside it."""
    scores = _with_ends(answers.interval)
    if answers.lost is None:
        return scores | {f"{name}_lost{end}": None for name in LOST for end in _ENDS}
    lost = _with_ends(answers.lost)
    return scores | {f"{name}_lost{end}": lost[f"{name}{end}"] for name in LOST for end in _ENDS}


def _with_ends(interval: Interval) -> dict[str, Number]:
    values, ends = interval.value.as_json(), interval.as_json()
    return {
        f"{name}{end}": number
        for name, value in values.items()
        for end, number in zip(_ENDS, (value, *ends[name]), strict=True)
    }
