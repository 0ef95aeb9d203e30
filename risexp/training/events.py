"""Events of a run, for its callbacks: frozen numbers and strings, never a tensor."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from risexp.training.plan import Plan
from risexp.training.progress import Best

if TYPE_CHECKING:
    from risexp.training.meters import Losses, Steps
    from risexp.training.replay import Refusal


@dataclass(frozen=True)
class RunStarted:
    """A run begins, or goes on after the epochs it has."""

    run_id: str
    epochs: int
    """Of the whole run."""
    done: int
    """Epochs that an earlier attempt finished."""
    batches: int
    """Of an epoch."""


@dataclass(frozen=True)
class EpochStarted:
    """An epoch begins under its plan."""

    plan: Plan


@dataclass(frozen=True)
class BatchEnded:
    """A batch is over, its step taken or refused: the place to honour a signal."""

    epoch: int
    batch: int
    """Counted from 0."""
    batches: int
    """Of the epoch."""


@dataclass(frozen=True)
class EpochEnded:
    """An epoch was trained and validated; from here to the next batch a run may be kept."""

    plan: Plan
    losses: "Losses"
    scores: Mapping[str, float]
    """Scores of the validation by name."""
    steps: "Steps"
    refused: "tuple[Refusal, ...]"
    """The first few refused batches, with what made them so."""
    best: Best | None
    """The best judged epoch so far."""
    since_best: int
    """Judged epochs of this phase since its best."""
    training_s: float = field(compare=False)
    validation_s: float = field(compare=False)

    @property
    def improved(self) -> bool:
        """Whether this epoch is the best so far."""
        return self.best is not None and self.best.epoch == self.plan.epoch


@dataclass(frozen=True)
class RunEnded:
    """A run is over."""

    reason: str


Event = RunStarted | EpochStarted | BatchEnded | EpochEnded | RunEnded


class StopTraining(Exception):
    """Raised by a callback that ends a run after a whole epoch or batch."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
