"""Once: a pruner was configured, no trial ever reported, and nothing was ever pruned."""

from pathlib import Path

from risexp.hpo.store.store import open_store
from risexp.hpo.trials.claim import Claim
from risexp.hpo.trials.trial_result import TrialResult
from tests.support.worker_processes import (
    STEPS,
    draw,
    owner,
    queue_of,
    score,
    toy_study,
    train,
    violations,
)


def train_silently(claim: Claim) -> None:
    """Training as it was once: only the last score is recorded."""
    claim.finish(TrialResult("complete", "finished", score(claim.suggest(draw), STEPS)))


def test_a_study_whose_trials_never_reported_is_an_error(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'optuna.db'}")
    study = toy_study(store, 3)
    queue = queue_of(store, study)
    for worker in (train, train_silently, train_silently):
        claim = queue.claim(owner())
        assert claim is not None
        worker(claim)

    found = violations(store, study)
    store.close()

    assert [("I3", 1), ("I3", 2)] == [(each.rule, each.number) for each in found]
    assert {"it never reported, so nothing could be pruned"} == {each.sentence for each in found}
