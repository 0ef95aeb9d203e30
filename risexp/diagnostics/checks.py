"""A requirement, what was measured, and what to do where it is not met."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from risexp.diagnostics.report import Table


@dataclass(frozen=True)
class Requirement:
    """One requirement and whether it is met; NaN meets none."""

    label: str
    value: float
    needed: str
    passed: bool
    advice: str
    """What to do if it is not met."""

    @classmethod
    def at_most(cls, label: str, value: float, limit: float, advice: str) -> Self:
        """A value that must not exceed the limit."""
        return cls(label, value, f"<= {limit:g}", value <= limit, advice)

    @classmethod
    def at_least(cls, label: str, value: float, limit: float, advice: str) -> Self:
        """A value that must reach the limit."""
        return cls(label, value, f">= {limit:g}", value >= limit, advice)


def check_table(checks: Sequence[Requirement]) -> Table:
    """All checks, met or not."""
    rows = tuple(
        (each.label, each.value, each.needed, "pass" if each.passed else "FAIL") for each in checks
    )
    return Table("checks", ("check", "measured", "needed", "verdict"), rows)
