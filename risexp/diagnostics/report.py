"""What a probe has to say: a verdict, the evidence for it, and what to do about it."""

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal, Self

from torch import Tensor

Verdict = Literal["pass", "fail", "info"]


@dataclass(frozen=True)
class Rate:
    """A share of scenes, and between which shares that of all such scenes lies."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Tensor, level: float = 0.95) -> Self:
        """Mean of values in [0, 1] over independent scenes, with its Wilson score interval.

        Values between 0 and 1 vary less than hits and misses of the same mean, so for
        probabilities the interval is wide enough. (E. B. Wilson, J. Am. Stat. Assoc. 22, 1927.)

        Args:
            values: (B,) real or bool; without a scene nothing is known.
            level: Share of experiments whose interval holds the true mean.
        """
        count = len(values)
        if count == 0:
            return cls(math.nan, 0.0, 1.0)
        mean = float(values.double().mean())
        z = NormalDist().inv_cdf(0.5 + level / 2.0)
        spread = z * math.sqrt(mean * (1.0 - mean) / count + (z / (2.0 * count)) ** 2)
        middle, scale = mean + z * z / (2.0 * count), 1.0 + z * z / count
        # Rounding may not put the mean outside its own interval.
        low, high = (middle - spread) / scale, (middle + spread) / scale
        return cls(mean, max(min(low, mean), 0.0), min(max(high, mean), 1.0))

    def as_json(self) -> dict[str, float | None]:
        """Value, low and high, with null for what is undefined."""
        return {name: _finite(value) for name, value in vars(self).items()}


Cell = str | int | float | Rate | None
"""What stands in a table; None where there is nothing to say."""
Row = tuple[Cell, ...]


@dataclass(frozen=True)
class Number:
    """One measured value."""

    label: str
    value: float | Rate
    unit: str = ""
    """Empty for rates and other pure numbers."""

    def as_json(self) -> dict[str, object]:
        """The value by its label and unit."""
        return {"label": self.label, "value": _plain(self.value), "unit": self.unit}


@dataclass(frozen=True)
class Table:
    """A few measured values that are read together."""

    label: str
    headings: tuple[str, ...]
    rows: tuple[Row, ...]
    """Each as wide as the headings."""

    def as_json(self) -> dict[str, object]:
        """Label, headings and rows of plain values."""
        rows = [[_plain(cell) for cell in row] for row in self.rows]
        return {"label": self.label, "headings": list(self.headings), "rows": rows}


Evidence = Number | Table


@dataclass(frozen=True)
class Report:
    """The answer of one probe."""

    name: str
    verdict: Verdict
    evidence: tuple[Evidence, ...]
    advice: tuple[str, ...]
    """Sentences that follow from the evidence, the most urgent first."""

    def as_json(self) -> dict[str, object]:
        """Plain values throughout, with null for what is undefined."""
        return {
            "name": self.name,
            "verdict": self.verdict,
            "evidence": [each.as_json() for each in self.evidence],
            "advice": list(self.advice),
        }


def _plain(cell: Cell) -> object:
    match cell:
        case Rate():
            return cell.as_json()
        case float():
            return _finite(cell)
        case _:
            return cell


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
