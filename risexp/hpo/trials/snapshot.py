"""Reads a study's snapshot, which the invariants check, from its store."""

from collections import defaultdict
from collections.abc import Sequence

from optuna.trial import FrozenTrial, TrialState

from risexp.hpo.store.leases import Attempt, Leases
from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.study import REASON, STATES, SURPLUS, StudyRef, end_of, slot_of
from risexp.hpo.trials.invariants import StudySnapshot, TrialSnapshot


def study_snapshot(
    store: StudyStore, study: StudyRef, known: Sequence[Attempt] | None = None
) -> StudySnapshot:
    """The stored state of a study, without trials that were closed as surplus.

    `known` are all attempts at its trials, if they were read before.
    """
    attempts: dict[int, list[Attempt]] = defaultdict(list)
    for attempt in Leases(store, study.uid).attempts() if known is None else known:
        attempts[attempt.lease.trial_id].append(attempt)
    ids = [trial.trial_id for trial in store.storage.list_trials(study.id)]
    trials = [
        _trial_snapshot(trial, attempts[trial_id])
        for trial_id, trial in store.storage.read_trials(ids).items()
    ]
    end = end_of(store, study)
    return StudySnapshot(
        name=study.name,
        wanted=study.trials,
        trials=tuple(trial for trial in trials if trial.reason != SURPLUS),
        left=frozenset() if end is None else frozenset(end.left),
    )


def _trial_snapshot(trial: FrozenTrial, attempts: list[Attempt]) -> TrialSnapshot:
    return TrialSnapshot(
        number=trial.number,
        slot=slot_of(trial),
        state=STATES[trial.state],
        # Optuna's value of a pruned trial is its last report.
        value=trial.value if trial.state == TrialState.COMPLETE else None,
        reason=trial.user_attrs.get(REASON),
        reports=trial.intermediate_values,
        parameters=trial.params,
        tried={
            attempt.lease.attempt: attempt.parameters
            for attempt in attempts
            if attempt.parameters is not None
        },
        held=any(attempt.ended is None for attempt in attempts),
    )
