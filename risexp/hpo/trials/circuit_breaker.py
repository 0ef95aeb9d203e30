"""Ends a study whose trials fail one after another: more would fail likewise."""

from typing import Final

from optuna.trial import TrialState

from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.study import REASON, SURPLUS, StudyRef, end_of, end_study

FAILURES: Final = 5
"""Trials in a row that failed, after which a study ends."""
FAILING: Final = f"{FAILURES} trials in a row failed"
"""Reason of a study that ended so."""


def end_if_failing(store: StudyStore, study: StudyRef) -> bool:
    """End a study whose last trials have all failed; to be asked where one has.

    Returns:
        Whether it ended so.
    """
    trials = store.storage.get_all_trials(study.id, deepcopy=False)
    ended = [
        (each.datetime_complete, each.number, each.state)
        for each in trials
        if each.datetime_complete is not None and each.user_attrs.get(REASON) != SURPLUS
    ]
    last = [state for *_, state in sorted(ended, key=lambda each: each[:2])][-FAILURES:]
    failing = len(last) == FAILURES and set(last) == {TrialState.FAIL}
    if failing and end_of(store, study) is None:
        end_study(store, study, FAILING)
    return failing
