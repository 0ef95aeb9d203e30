"""A robustness table as text: a block a scenario and SNR, and where near sources suffer most."""

from collections.abc import Iterator
from typing import Final

from risexp.app.benchmark.accuracy.tables import TextTable, number, rate
from risexp.app.benchmark.robustness.measure import MethodAnswers, RobustnessRow, RobustnessTable
from risexp.evaluation.intervals import Interval

LEGEND: Final = (
    "medians of aoa in deg and of range in m; lost: success without the disturbance minus with it, "
    "paired"
)


def text_tables(table: RobustnessTable) -> Iterator[TextTable]:
    """The blocks, each at most 100 columns wide for names of ordinary length."""
    for outcome in table.outcomes:
        yield _scores(outcome)
        if outcome.scenario.by_range:
            yield _by_range(outcome)


def _scores(outcome: RobustnessRow) -> TextTable:
    return TextTable(
        f"{outcome.name}, {outcome.snr_db:g} dB: {outcome.scenario.about}{_breakdowns(outcome)}",
        ("level", "method", "k_acc", "success", "strict", "aoa", "range", "k_loc", "lost"),
        tuple(
            (level, method, *_cells(answers))
            for level, by_method in outcome.answers.items()
            for method, answers in by_method.items()
        ),
    )


def _breakdowns(outcome: RobustnessRow) -> str:
    """What would otherwise pass for a wrong count."""
    broken: dict[str, int] = {}
    for by_method in outcome.answers.values():
        for method, answers in by_method.items():
            broken[method] = broken.get(method, 0) + answers.broken
    said = ", ".join(f"{method} {times}" for method, times in broken.items() if times)
    return f"\nno finite answer, scored as no source: {said}" if said else ""


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
    value, low, high = (
        dict(each.items())[score] for each in (interval.value, interval.low, interval.high)
    )
    ends = f"[{_difference(low, 2)},{_difference(high, 2)}]"
    return f"{_difference(value, digits)} {ends}"


def _difference(value: float, digits: int) -> str:
    """A rate, or what is left of one rate by another."""
    return rate(value, digits).replace("-0.", "-.")


def _by_range(outcome: RobustnessRow) -> TextTable:
    """Shares of sources, whether or not the rest of their scene is right."""
    found = {
        (level, method): outcome.found_by_range(level, method)
        for level, by_method in outcome.answers.items()
        for method in by_method
    }
    bins = next(iter(found.values()))
    return TextTable(
        f"{outcome.name}, {outcome.snr_db:g} dB: share of sources located, by their range",
        ("level", "method", *bins),
        tuple(
            (level, method, *(rate(share, 3) for share in shares.values()))
            for (level, method), shares in found.items()
        ),
    )
