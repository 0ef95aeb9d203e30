"""The report of a probe: a verdict, its evidence, and advice; and the checks behind them."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any, Literal, Self

from torch import Tensor

from risexp.evaluation.scene_scores import confusion

Verdict = Literal["pass", "fail", "info"]


@dataclass(frozen=True)
class Rate:
    """A share of scenes with its confidence interval."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Tensor, level: float = 0.95) -> Self:
        """Mean of values (B,) in [0, 1] over independent scenes, with its Wilson score interval.

        Probabilities vary less than hits and misses of the same mean, so for them the interval is
        wide enough. (E. B. Wilson, J. Am. Stat. Assoc. 22, 1927.)
        """
        count = len(values)
        if count == 0:
            return cls(math.nan, 0.0, 1.0)
        mean = float(values.double().mean())
        z = NormalDist().inv_cdf(0.5 + level / 2.0)
        spread = z * math.sqrt(mean * (1.0 - mean) / count + (z / (2.0 * count)) ** 2)
        middle, scale = mean + z * z / (2.0 * count), 1.0 + z * z / count
        # Rounding must not put the mean outside its interval.
        low, high = (middle - spread) / scale, (middle + spread) / scale
        return cls(mean, max(min(low, mean), 0.0), min(max(high, mean), 1.0))


Cell = str | int | float | Rate | None
"""A table cell; None is shown as a dash."""
Row = tuple[Cell, ...]


@dataclass(frozen=True)
class Number:
    """One measured value."""

    label: str
    value: float | Rate
    unit: str = ""
    """Empty for pure numbers."""


@dataclass(frozen=True)
class Table:
    """Measured values in rows and columns."""

    label: str
    headings: tuple[str, ...]
    rows: tuple[Row, ...]


Evidence = Number | Table


@dataclass(frozen=True)
class Report:
    """The report of one probe."""

    name: str
    verdict: Verdict
    evidence: tuple[Evidence, ...]
    advice: tuple[str, ...]
    """Sentences, the most urgent first."""

    def as_json(self) -> dict[str, Any]:
        """The report as plain values, with null for undefined ones."""
        return {name: _defined(value) for name, value in asdict(self).items()}


def _defined(value: Any) -> Any:  # noqa: ANN401 - JSON
    match value:
        case dict():
            return {name: _defined(item) for name, item in value.items()}
        case tuple():
            return [_defined(item) for item in value]
        case float() if not math.isfinite(value):
            return None
        case _:
            return value


@dataclass(frozen=True)
class Requirement:
    """A requirement on a measured value; NaN never meets it."""

    label: str
    value: float
    needed: str
    passed: bool
    advice: str

    @classmethod
    def at_most(cls, label: str, value: float, limit: float, advice: str) -> Self:
        """A value that must not exceed the limit."""
        return cls(label, value, f"<= {limit:g}", value <= limit, advice)

    @classmethod
    def at_least(cls, label: str, value: float, limit: float, advice: str) -> Self:
        """A value that must reach the limit."""
        return cls(label, value, f">= {limit:g}", value >= limit, advice)


def confusion_table(label: str, truth: Tensor, answers: Tensor, most: int) -> Table:
    """Scenes by true and answered count, both (B,) int64 up to `most`."""
    matrix = confusion(truth, answers, most).matrix.tolist()
    headings = ("true K", *(str(count) for count in range(1, most + 1)))
    return Table(label, headings, tuple((count, *row) for count, row in enumerate(matrix, start=1)))


def majority_share(truth: Tensor) -> float:
    """K accuracy of always answering the most frequent count of (B,) int64."""
    return float(truth.bincount().max()) / len(truth)


def check_table(checks: Sequence[Requirement]) -> Table:
    """A table of all checks with their verdicts."""
    rows = tuple(
        (check.label, check.value, check.needed, "pass" if check.passed else "FAIL")
        for check in checks
    )
    return Table("checks", ("check", "measured", "needed", "verdict"), rows)


def checked_report(
    name: str, checks: Sequence[Requirement], evidence: Sequence[Evidence], clear: Sequence[str]
) -> Report:
    """A report that fails if a check does, with the advice of the failed checks."""
    failed = tuple(check.advice for check in checks if not check.passed)
    shown = (check_table(checks), *evidence)
    return Report(name, "fail" if failed else "pass", shown, failed or tuple(clear))
