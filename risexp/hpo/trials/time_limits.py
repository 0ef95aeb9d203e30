"""How long a trial may take, all attempts at it together; kept with its study for all workers."""

import time
from collections.abc import Callable
from typing import Final

from risexp.hpo.store.leases import Attempt
from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.study import StudyRef
from risexp.runs.outcome import EndRun, Outcome
from risexp.training.events import EpochEnded, Event, RunStarted

LIMIT: Final = "limit"
"""Reason of a trial that has taken too long."""
_KEPT: Final = "risexp.trial_limit_s"
"""Attribute of a study that holds it."""


def set_limit(store: StudyStore, study: StudyRef, seconds: float | None) -> None:
    """Let no trial of a study take longer from its next attempt on; None: as long as it takes."""
    if limit_of(store, study) != seconds:
        store.storage.set_study_user_attr(study.id, _KEPT, seconds)


def limit_of(store: StudyStore, study: StudyRef) -> float | None:
    """How long a trial may take; None where nobody has said so."""
    told = store.storage.get_study_user_attrs(study.id).get(_KEPT)
    return None if told is None else float(told)


def spent_s(attempts: list[Attempt]) -> float:
    """What attempts took that have ended, by the database's clock."""
    return sum(each.ended_at - each.began_at for each in attempts if each.ended_at is not None)


class TimeLimit:
    """An observer that prunes a trial with the epoch that passes its limit.

    What it has reported stands, and the sampler learns from it. After the last epoch there is
    nothing left to save.
    """

    def __init__(
        self,
        limit_s: float | None,
        spent_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin to count.

        Args:
            limit_s: How long it may take; None: as long as it takes.
            spent_s: By earlier attempts.
            clock: Seconds.
        """
        self._limit_s = limit_s
        self._spent_s = spent_s
        self._clock = clock
        self._began = clock()
        self._epochs = 0

    def __call__(self, event: Event) -> None:
        """Compare the time with the limit after each epoch but the last.

        Raises:
            EndRun: It is over.
        """
        match event:
            case RunStarted(epochs=epochs):
                self._epochs = epochs
            case EpochEnded(plan=plan) if plan.epoch < self._epochs:
                self._check(plan.epoch)

    def _check(self, epoch: int) -> None:
        spent = self._spent_s + self._clock() - self._began
        if self._limit_s is not None and spent >= self._limit_s:
            said = (
                f"all attempts together have taken {spent:.0f} s at epoch {epoch} of "
                f"{self._epochs}, and {self._limit_s:g} s are the limit of a trial"
            )
            raise EndRun(Outcome("pruned", LIMIT, said, 0))
