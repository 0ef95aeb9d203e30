"""Once: a score that was NaN came back as 1e6, an infinite one as 1.8e308 and first in rankings.

The sampler and every plot believed them.
"""

import math

import optuna
import pytest
from optuna.trial import TrialState

from risexp.errors import TrainingAborted
from risexp.hpo.store.store import StudyStore
from risexp.hpo.trials.trial_result import TrialResult, trial_result
from risexp.runs.outcome import aborted, complete
from tests.support.worker_processes import claimed, draw, queue_of, toy_study

NOT_FINITE = (math.inf, -math.inf, math.nan)
LEARNT_FROM = (TrialState.COMPLETE, TrialState.PRUNED)
"""The states a TPE sampler reads: a failed trial is none, and it would draw the like again."""


def result_of(value: float) -> TrialResult:
    """The result of a complete run with this score."""
    result = trial_result(complete("finished", 20), value)
    assert result is not None
    return result


def test_a_score_that_is_no_number_prunes_the_trial_and_the_sampler_stays_away(
    own_store: StudyStore,
) -> None:
    results = [*map(result_of, (*NOT_FINITE, 0.5)), TrialResult("failed", "ValueError")]
    queue = queue_of(own_store, toy_study(own_store, 5))
    for result in results:
        claim = claimed(queue)
        claim.suggest(draw)
        claim.finish(result)
    study = optuna.load_study(study_name="toy", storage=own_store.storage)
    trials, best = study.trials, study.best_trial.number

    learnt = [trial for trial in trials if trial.state in LEARNT_FROM]
    assert ([0, 1, 2, 3], 3) == ([trial.number for trial in learnt], best)
    assert [("PRUNED", None, "non-finite")] * 3 == [
        (trial.state.name, trial.value, trial.user_attrs["reason"]) for trial in learnt[:3]
    ]
    assert [{"non-finite": 1.0}] * 3 == [trial.constraints for trial in learnt[:3]]
    assert all(value <= 0.0 for value in learnt[3].constraints.values())


def test_a_report_that_is_no_number_ends_the_trial_and_is_stored_nowhere(
    own_store: StudyStore,
) -> None:
    queue = queue_of(own_store, toy_study(own_store, 3))
    for value in NOT_FINITE:
        claim = claimed(queue)
        claim.suggest(draw)
        claim.report(1, 0.5)

        with pytest.raises(TrainingAborted) as abort:
            claim.report(2, value)
        result = trial_result(aborted(abort.value), None)
        assert result is not None
        claim.finish(result)

        trial = own_store.storage.get_trial(claim.lease.trial_id)
        assert ({1: 0.5}, 0.5) == (trial.intermediate_values, trial.value)
        assert ("PRUNED", "non-finite") == (trial.state.name, trial.user_attrs["reason"])
