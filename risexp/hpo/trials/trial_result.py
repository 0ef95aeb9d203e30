"""How a trial ends in its study; no number in it can stand for a failure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

NON_FINITE: Final = "non-finite"
"""Reason of a trial whose value is no finite number."""
INFEASIBLE: Final = 1.0
"""Value of a constraint that is not met; Optuna takes what is above zero for infeasible."""


@dataclass(frozen=True)
class TrialResult:
    """What a trial's study is told."""

    state: Literal["complete", "pruned", "failed"]
    reason: str
    """One word."""
    value: float | None = None
    """Of a complete trial, finite."""
    constraints: Mapping[str, float] = field(default_factory=dict)
    """By name; above zero where it is not met."""

    def __post_init__(self) -> None:
        if (self.state == "complete") != (self.value is not None):
            message = f"a {self.state} trial with value {self.value} is none"
            raise ValueError(message)
        if not all(map(math.isfinite, (self.value or 0.0, *self.constraints.values()))):
            message = f"{self.value} or {dict(self.constraints)} is not finite"
            raise ValueError(message)


def unsound(reason: str) -> TrialResult:
    """Pruned for a reason, with a constraint of its name: a sampler learns to stay away."""
    return TrialResult("pruned", reason, constraints={reason: INFEASIBLE})
