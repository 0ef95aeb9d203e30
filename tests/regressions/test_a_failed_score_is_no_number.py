"""Once: a score that was NaN came back as 1e6, and the sampler and every plot believed it."""

from pathlib import Path

import optuna
import pytest
from optuna.samplers import TPESampler

from risexp.hpo.store.store import StudyStore, open_store
from risexp.hpo.trials.trial_result import TrialResult, trial_result, unsound
from risexp.runs.outcome import complete
from tests.support.worker_processes import draw, owner, queue_of, toy_study

NAN = float("nan")


def finished(store: StudyStore, *endings: TrialResult) -> optuna.Study:
    """A study whose trials have these results."""
    queue = queue_of(store, toy_study(store, len(endings)))
    for ending in endings:
        claim = queue.claim(owner())
        assert claim is not None
        claim.suggest(draw)
        claim.finish(ending)
    return optuna.load_study(study_name="toy", storage=store.storage, sampler=TPESampler())


def result_of(value: float) -> TrialResult:
    """The result of a complete run with this score."""
    ending = trial_result(complete("finished", 20), value)
    assert ending is not None
    return ending


@pytest.fixture
def store(tmp_path: Path) -> StudyStore:
    return open_store(f"sqlite:///{tmp_path / 'optuna.db'}")


def test_a_score_that_is_not_a_number_prunes_the_trial_with_a_reason(store: StudyStore) -> None:
    study = finished(store, result_of(NAN), result_of(0.5))
    store.close()

    failed, sound = study.trials
    assert ("PRUNED", None) == (failed.state.name, failed.value)
    assert ("non-finite", {"non-finite": 1.0}) == (failed.user_attrs["reason"], failed.constraints)
    assert sound.number == study.best_trial.number


def test_the_sampler_learns_to_stay_away(store: StudyStore) -> None:
    """A failed trial is none to it, and it would draw the like again."""
    study = finished(
        store, unsound("non-finite"), TrialResult("failed", "ValueError"), result_of(0.5)
    )
    seen = [trial.number for trial in study.trials if trial.state in LEARNT_FROM]
    store.close()

    assert [0, 2] == seen
    assert [False, True] == [
        all(value <= 0.0 for value in study.trials[number].constraints.values()) for number in seen
    ]


LEARNT_FROM = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
"""The states a TPE sampler reads."""


@pytest.mark.parametrize("value", [1e6, 0.0])
def test_no_number_can_stand_for_a_failure(value: float) -> None:
    with pytest.raises(ValueError, match="is none"):
        TrialResult("failed", "ValueError", value)
    with pytest.raises(ValueError, match="is none"):
        TrialResult("pruned", "non-finite", value)
