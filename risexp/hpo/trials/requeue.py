"""The way back into the queue for a trial whose worker is gone."""

from typing import Final, Literal

from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState

from risexp.core.failpoint import failpoint
from risexp.hpo.store.leases import DEADLY, HANGING, USED_UP, Leases
from risexp.hpo.studies.study import REASON

Became = Literal["waiting", "failed", "finished"]

MOST_DEATHS: Final = 3
"""Attempts that may die before a trial counts as poison."""


def _reason(leases: Leases, trial_id: int) -> str:
    """Why a trial has no more attempts: it always hung, or its attempts died one way or another."""
    ends = {each.ended for each in leases.attempts(trial_id)}.intersection(DEADLY)
    return HANGING if ends == {HANGING} else USED_UP


def requeue(leases: Leases, trial_id: int, most: int) -> Became:
    """Let a trial without a living attempt wait again, or fail; may be repeated.

    Number, parameters and reports stay.
    """
    storage = leases.store.storage
    try:
        if leases.deaths(trial_id) >= most:
            storage.set_trial_user_attr(trial_id, REASON, _reason(leases, trial_id))
            failpoint("reap.noted")
            storage.set_trial_state_values(trial_id, TrialState.FAIL)
            return "failed"
        storage.set_trial_state_values(trial_id, TrialState.WAITING)
    except UpdateFinishedTrialError:
        return "finished"
    failpoint("reap.returned")
    return "waiting"
