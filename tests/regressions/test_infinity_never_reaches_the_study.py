"""Once: an infinite score was stored as 1.8e308 and came first in every ranking."""

from pathlib import Path

import pytest

from risexp.errors import TrainingAborted
from risexp.hpo.store.store import open_store
from risexp.hpo.trials.trial_result import TrialResult, trial_result
from risexp.runs.outcome import aborted, complete
from tests.support.worker_processes import draw, owner, queue_of, toy_study

NOT_FINITE = [float("inf"), -float("inf"), float("nan")]


@pytest.mark.parametrize("value", NOT_FINITE)
def test_an_infinite_score_ends_the_trial_and_is_stored_nowhere(
    tmp_path: Path, value: float
) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'optuna.db'}")
    queue = queue_of(store, toy_study(store, 1))
    claim = queue.claim(owner())
    assert claim is not None
    claim.suggest(draw)
    claim.report(1, 0.5)

    with pytest.raises(TrainingAborted) as abort:
        claim.report(2, value)
    ending = trial_result(aborted(abort.value), None)
    assert ending is not None
    claim.finish(ending)

    trial = store.storage.get_trial(claim.lease.trial_id)
    store.close()
    assert ({1: 0.5}, 0.5) == (trial.intermediate_values, trial.value)
    assert ("PRUNED", "non-finite") == (trial.state.name, trial.user_attrs["reason"])


def test_an_infinite_last_score_is_no_value() -> None:
    for value in NOT_FINITE:
        result = trial_result(complete("finished", 20), value)

        assert result is not None
        assert ("pruned", None, "non-finite") == (result.state, result.value, result.reason)
        with pytest.raises(ValueError, match="is not finite"):
            TrialResult("complete", "finished", value)
