"""Which field decided the scores: found where it did, and not claimed where nobody can tell."""

import optuna
import pytest

from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies import importance as fanova
from risexp.hpo.studies.importance import LEAST, Importance, importance
from risexp.hpo.trials.trial_result import TrialResult
from risexp.space.study_spec import StudySpec
from tests.support.searches import LR, RATE, Past, past
from tests.support.spaces import planted

WEIGHT = "loss.count"


def of(store: StudyStore, count: int, name: str = "toy", *, constant: bool = False) -> Importance:
    """Of trials whose score follows the weight alone."""
    trials: list[Past] = []
    for place in range(count):
        weight = 0.1 + 1.8 * place / count
        values = {LR: 1e-4 * (1 + place * 7 % count), WEIGHT: weight}
        score = 3.0 if constant else weight
        trials.append((values, [score], TrialResult("complete", "finished", score)))
    vary = {**RATE, WEIGHT: {"kind": "uniform", "low": 0.1, "high": 2.0}}
    space = planted(vary, base="smoke", pruner={"kind": "none"})
    return importance(store, past(store, name, StudySpec.of(space), trials))


def test_the_field_that_decides_is_found(own_store: StudyStore) -> None:
    found = of(own_store, 12)

    assert [WEIGHT, LR] == list(found.shares)
    assert found.shares[WEIGHT] > 0.7
    assert pytest.approx(1.0) == sum(found.shares.values())
    assert (12, None) == (found.trials, found.doubt)


def test_the_time_of_a_forest_does_not_grow_with_the_trials(
    own_store: StudyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    trees = list[int]()
    make = optuna.importance.FanovaImportanceEvaluator

    def counted(*, n_trees: int, seed: int) -> object:
        trees.append(n_trees)
        return make(n_trees=1, seed=seed)

    monkeypatch.setattr(fanova, "_WHOLE", 20)
    monkeypatch.setattr(optuna.importance, "FanovaImportanceEvaluator", counted)
    for count in (12, 40):
        of(own_store, count, f"of-{count}")

    assert [64, 32] == trees


def test_of_a_few_trials_or_equal_scores_nothing_is_said(own_store: StudyStore) -> None:
    few, equal = of(own_store, LEAST - 1), of(own_store, LEAST, "equal", constant=True)

    assert ({}, {}) == (few.shares, equal.shares)
    assert f"{LEAST - 1} complete trials are too few" in str(few.doubt)
    assert "all complete trials have the same score or values" == equal.doubt
