"""The progress of a run, and its best epoch."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from risexp.config.training import Phase, Selection
from risexp.errors import TrainingAborted
from risexp.evaluation.metrics import Direction
from risexp.training.plan import Plan


@dataclass(frozen=True)
class Criterion:
    """The score that selects the best epoch."""

    score: str
    """Its name among the scores of a validation."""
    direction: Direction
    """Whether the smaller or the larger value is the better one."""
    across_phases: bool
    """Whether values of two phases can be compared; those of a loss cannot, its weights differ."""

    def better(self, value: float, than: float) -> bool:
        """Whether a value beats another one; an equal one does not."""
        return value < than if self.direction == "min" else value > than


CRITERIA: Final[Mapping[Selection, Criterion]] = {
    "k_loc": Criterion("k_loc", "min", across_phases=True),
    "success": Criterion("success_rate", "max", across_phases=True),
    "loss": Criterion("loss", "min", across_phases=False),
}


@dataclass(frozen=True)
class Best:
    """The best judged epoch so far."""

    epoch: int
    phase: Phase
    value: float


@dataclass(frozen=True)
class Progress:
    """Epochs and steps that a run has finished."""

    epoch: int = 0
    step: int = 0
    phase: Phase | None = None
    best: Best | None = None
    since_best: int = 0
    """Judged epochs of this phase since its best one; it starts anew with a phase."""

    def closed(self, plan: Plan, step: int, value: float, criterion: Criterion) -> Self:
        """The progress once an epoch is over.

        Raises:
            TrainingAborted: The value is not a finite number.
        """
        if not math.isfinite(value):
            raise TrainingAborted(
                f"epoch {plan.epoch}: the validation gave {criterion.score} = {value}, and a "
                "failed validation is not a score",
                guard="validation",
            )
        same_phase = plan.phase == self.phase
        since = self.since_best if same_phase else 0
        best = self.best
        if plan.judged:
            since += 1
            if self._improves(plan, value, criterion):
                best, since = Best(plan.epoch, plan.phase, value), 0
        return type(self)(plan.epoch, step, plan.phase, best, since)

    def _improves(self, plan: Plan, value: float, criterion: Criterion) -> bool:
        if self.best is None:
            return True
        if self.best.phase != plan.phase and not criterion.across_phases:
            return True
        return criterion.better(value, self.best.value)
