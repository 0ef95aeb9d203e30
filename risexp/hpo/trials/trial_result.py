"""How a run's outcome ends its trial; no number can stand for a failure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from risexp.runs.outcome import Outcome

NON_FINITE: Final = "non-finite"
"""Reason of a trial whose value is not a finite number."""
INFEASIBLE: Final = 1.0
"""Value of a violated constraint; Optuna takes values above zero for infeasible."""


@dataclass(frozen=True)
class TrialResult:
    """The final state of a trial."""

    state: Literal["complete", "pruned", "failed"]
    reason: str
    """One word."""
    value: float | None = None
    """Finite; only of a complete trial."""
    constraints: Mapping[str, float] = field(default_factory=dict)
    """By name; above zero if violated."""

    def __post_init__(self) -> None:
        if (self.state == "complete") != (self.value is not None):
            message = f"a {self.state} trial with value {self.value} is none"
            raise ValueError(message)
        if not all(map(math.isfinite, (self.value or 0.0, *self.constraints.values()))):
            message = f"{self.value} or {dict(self.constraints)} is not finite"
            raise ValueError(message)


def unsound(reason: str) -> TrialResult:
    """A pruned trial with a violated constraint of this name: the sampler learns to avoid it."""
    return TrialResult("pruned", reason, constraints={reason: INFEASIBLE})


def trial_result(outcome: Outcome, value: float | None) -> TrialResult | None:
    """The result of a trial from its run's outcome and the score of the kept checkpoint.

    Returns:
        None if the trial continues later: it is released, or given up if the machine failed.
    """
    if outcome.status == "complete":
        if value is None:
            return TrialResult("failed", "no-score")
        finite = math.isfinite(value)
        return TrialResult("complete", outcome.reason, value) if finite else unsound(NON_FINITE)
    if outcome.status == "pruned":
        return TrialResult("pruned", outcome.reason)
    if outcome.status == "aborted":
        return unsound(outcome.reason)
    return None if outcome.resumable else TrialResult("failed", outcome.reason)
