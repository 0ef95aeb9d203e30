"""Callbacks that end a run early: no improvement, an epoch known before, or a time limit."""

from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic

from risexp.config.training import Phase
from risexp.training.events import EpochEnded, Event, RunStarted, StopTraining


@dataclass(frozen=True)
class EarlyStopping:
    """Ends a run without improvement over some judged epochs of its last phase.

    An earlier phase is never cut short: the run would miss the phases that follow.
    """

    epochs: int
    """Judged epochs without improvement that end the run."""
    phase: Phase

    def __call__(self, event: Event) -> None:
        """Stop the training once there are too many epochs since the best one of the phase."""
        if not isinstance(event, EpochEnded) or not event.plan.judged:
            return
        if event.plan.phase == self.phase and event.since_best >= self.epochs:
            raise StopTraining("early-stop")


@dataclass(frozen=True)
class Until:
    """Ends a run after a given epoch."""

    epoch: int

    def __call__(self, event: Event) -> None:
        """Stop the training once the epoch has ended."""
        if isinstance(event, EpochEnded) and event.plan.epoch >= self.epoch:
            raise StopTraining("far-enough")


@dataclass
class TimeBudget:
    """Ends a run after the epoch that passes its time limit."""

    limit_s: float
    spent_s: float = 0.0
    """Seconds of earlier attempts."""
    clock: Callable[[], float] = monotonic
    _started: float = field(default=0.0, init=False)

    def __call__(self, event: Event) -> None:
        """Stop the training at the end of an epoch once the time is over."""
        if isinstance(event, RunStarted):
            self._started = self.clock()
        if isinstance(event, EpochEnded):
            spent = self.spent_s + self.clock() - self._started
            if spent >= self.limit_s:
                raise StopTraining("time-limit")
