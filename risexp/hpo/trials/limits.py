"""Limits that end a trial or a study early: trial time, repeated failures, the study's end."""

import time
from collections.abc import Callable
from typing import Final

from optuna.trial import TrialState

from risexp.hpo.store.leases import Attempt
from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.study import REASON, SURPLUS, StudyRef, end_of, end_study
from risexp.runs.outcome import EndRun, Outcome
from risexp.training.events import EpochEnded, Event, RunStarted

LIMIT: Final = "limit"
"""Reason of a trial that exceeded its time limit."""
STOPPED: Final = "stopped"
"""Reason of an attempt that ended because its study did."""
FAILURES: Final = 5
"""Number of trials failing in a row after which a study ends."""
FAILING: Final = f"{FAILURES} trials in a row failed"
"""Reason of a study that ended after such failures."""
_LIMIT_ATTRIBUTE: Final = "risexp.trial_limit_s"


def set_limit(store: StudyStore, study: StudyRef, seconds: float | None) -> None:
    """Set the time limit of all later attempts at trials of a study; None removes it."""
    if limit_of(store, study) != seconds:
        store.storage.set_study_user_attr(study.id, _LIMIT_ATTRIBUTE, seconds)


def limit_of(store: StudyStore, study: StudyRef) -> float | None:
    """The time limit of a trial in seconds; None if there is none."""
    seconds = store.storage.get_study_user_attrs(study.id).get(_LIMIT_ATTRIBUTE)
    return None if seconds is None else float(seconds)


def spent_s(attempts: list[Attempt]) -> float:
    """Seconds that ended attempts took, by the database's clock."""
    return sum(each.ended_at - each.began_at for each in attempts if each.ended_at is not None)


class TimeLimit:
    """A callback that prunes a trial after the epoch that exceeds its time limit.

    Its reports stay, and the sampler learns from them. After the last epoch nothing is left to
    save.
    """

    def __init__(
        self,
        limit_s: float | None,
        spent_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start the clock; `spent_s` is the time that earlier attempts took."""
        self._limit_s = limit_s
        self._spent_s = spent_s
        self._clock = clock
        self._began = clock()
        self._epochs = 0

    def __call__(self, event: Event) -> None:
        """Compare the time with the limit after every epoch but the last.

        Raises:
            EndRun: The limit is exceeded.
        """
        match event:
            case RunStarted(epochs=epochs):
                self._epochs = epochs
            case EpochEnded(plan=plan) if plan.epoch < self._epochs:
                self._check(plan.epoch)

    def _check(self, epoch: int) -> None:
        spent = self._spent_s + self._clock() - self._began
        if self._limit_s is not None and spent >= self._limit_s:
            sentence = (
                f"all attempts together have taken {spent:.0f} s at epoch {epoch} of "
                f"{self._epochs}, and {self._limit_s:g} s are the limit of a trial"
            )
            raise EndRun(Outcome("pruned", LIMIT, sentence, 0))


class StudyEndCheck:
    """A callback that releases a trial after an epoch if its study has ended."""

    def __init__(self, store: StudyStore, study: StudyRef) -> None:
        self._store = store
        self._study = study

    def __call__(self, event: Event) -> None:
        """Look up the study's end.

        Raises:
            EndRun: The study has ended.
        """
        if not isinstance(event, EpochEnded):
            return
        end = end_of(self._store, self._study)
        if end is not None:
            sentence = f"study {self._study.name} ended: {end.reason}; the trial waits"
            raise EndRun(Outcome("released", STOPPED, sentence, 0, resumable=True))


def end_if_failing(store: StudyStore, study: StudyRef) -> bool:
    """End a study whose last trials have all failed; to be called after a failure.

    Returns:
        Whether the last trials have all failed.
    """
    trials = store.storage.get_all_trials(study.id, deepcopy=False)
    ended = [
        (trial.datetime_complete, trial.number, trial.state)
        for trial in trials
        if trial.datetime_complete is not None and trial.user_attrs.get(REASON) != SURPLUS
    ]
    last = [state for *_, state in sorted(ended, key=lambda entry: entry[:2])][-FAILURES:]
    failing = len(last) == FAILURES and set(last) == {TrialState.FAIL}
    if failing and end_of(store, study) is None:
        end_study(store, study, FAILING)
    return failing
