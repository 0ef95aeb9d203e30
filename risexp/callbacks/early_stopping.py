"""When a run has gone far enough: no better for a while, or out of time."""

from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic

from risexp.config.training import Phase
from risexp.training.events import EpochEnded, Event, RunStarted, StopTraining


@dataclass(frozen=True)
class EarlyStopping:
    """Ends a run that has not become better for some judged epochs of its last phase.

    An earlier phase is never cut short: the run would end without those that follow.
    """

    epochs: int
    """Judged epochs without a better one."""
    phase: Phase
    """The last one."""

    def __call__(self, event: Event) -> None:
        """Look at how long ago the best epoch was; it counts anew with each phase.

        Raises:
            StopTraining: Patience is at an end.
        """
        if not isinstance(event, EpochEnded) or not event.plan.judged:
            return
        if event.plan.phase == self.phase and event.since_best >= self.epochs:
            raise StopTraining("early-stop")


@dataclass(frozen=True)
class Until:
    """Ends a run with an epoch that is known before."""

    epoch: int

    def __call__(self, event: Event) -> None:
        """Look whether that epoch has ended.

        Raises:
            StopTraining: It has.
        """
        if isinstance(event, EpochEnded) and event.plan.epoch >= self.epoch:
            raise StopTraining("far-enough")


@dataclass
class TimeBudget:
    """Ends a run with the epoch that passes its limit of time."""

    limit_s: float
    spent_s: float = 0.0
    """By earlier attempts."""
    clock: Callable[[], float] = monotonic
    _begun: float = field(default=0.0, init=False)

    def __call__(self, event: Event) -> None:
        """Compare the time with the limit at the end of an epoch.

        Raises:
            StopTraining: It is over.
        """
        if isinstance(event, RunStarted):
            self._begun = self.clock()
        if isinstance(event, EpochEnded):
            spent = self.spent_s + self.clock() - self._begun
            if spent >= self.limit_s:
                raise StopTraining("time-limit")
