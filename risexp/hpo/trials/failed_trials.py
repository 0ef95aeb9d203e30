"""Failed trials, which may be given another life: number, parameters, reports and run stay."""

from collections.abc import Collection
from typing import Final

from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection, update

from risexp.errors import InvalidInput
from risexp.hpo.store.leases import Leases
from risexp.hpo.store.schema import TRIALS
from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.study import REASON, STATES, SURPLUS, StudyRef

FORGIVEN: Final = "risexp.forgiven"
"""Attribute of a trial: the number of attempts whose deaths count no more."""


def forgiven(trial: FrozenTrial) -> int:
    """The number of attempts of a trial whose deaths count no more."""
    return int(trial.user_attrs.get(FORGIVEN, 0))


def retry(store: StudyStore, study: StudyRef, numbers: Collection[int]) -> None:
    """Let failed trials wait again; the deaths of their attempts count no more.

    Optuna itself changes no trial that has ended, so its table is written, and nothing but the
    state and the time of the end. A trial that is not failed changes nothing.
    """
    trials = {trial.number: trial for trial in store.storage.get_all_trials(study.id)}
    for number in numbers:
        _check(study, number, trials.get(number))
    leases = Leases(store, study.uid)
    ids = {trial.number: trial.trial_id for trial in store.storage.list_trials(study.id)}
    chosen = [ids[number] for number in sorted({*numbers})]

    def change(connection: Connection) -> None:
        wait = update(TRIALS).values(state=TrialState.WAITING, datetime_complete=None)
        failed = (TRIALS.c.trial_id.in_(chosen), TRIALS.c.state == TrialState.FAIL)
        connection.execute(wait.where(*failed))

    store.write(change)
    # A worker that takes one before its deaths are forgiven may fail it once more, and no more.
    for trial_id in chosen:
        attempts = len(leases.attempts(trial_id))
        store.storage.set_trial_user_attr(trial_id, FORGIVEN, attempts)


def _check(study: StudyRef, number: int, trial: FrozenTrial | None) -> None:
    if trial is None:
        raise InvalidInput(
            f"study {study.name} has no trial {number}: `risexp study show` lists them"
        )
    if trial.state != TrialState.FAIL:
        raise InvalidInput(
            f"trial {number} of study {study.name} is {STATES[trial.state]}: only a failed one is "
            "tried again"
        )
    if trial.user_attrs.get(REASON) == SURPLUS:
        raise InvalidInput(f"trial {number} of study {study.name} is in no slot of the budget")
