"""Once: no trial ever reported, so nothing was pruned, and the savings were made up."""

from collections.abc import Callable

import pytest
from optuna.study import Study
from optuna.trial import Trial, TrialState

from risexp.callbacks.run_loop import Callback
from risexp.hpo.search.pruners import build_pruner
from risexp.hpo.search.pruning_callback import PRUNING_COUNTS, PruningCallback, check_pruning_ran
from risexp.hpo.search.warmup import Pruning
from risexp.hpo.store.store import StudyStore
from risexp.hpo.trials.claim import Claim
from risexp.hpo.trials.trial_result import TrialResult
from risexp.space.study_spec import StudySpec
from tests.support.recorded_runs import Told, followed, joint, k_locs
from tests.support.spaces import learning
from tests.support.studies import study_of
from tests.support.worker_processes import (
    STEPS,
    claimed,
    draw,
    queue_of,
    score,
    toy_study,
    train,
    violations,
)

EPOCHS = 6
RULE = {"kind": "median", "startup": 3}
PRUNING = Pruning.of(StudySpec.of(learning(fixed={"training.epochs": EPOCHS}, pruner=RULE)))

Choose = Callable[[PruningCallback], list[Callback]]


class ClaimedTrial:
    """A trial of Optuna's as a worker claims it."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial
        self.number = trial.number

    def report(self, step: int, value: float) -> None:
        self._trial.report(value, step)

    def should_prune(self) -> bool:
        return self._trial.should_prune()


def searched(choose: Choose) -> Study:
    """A study of four good trials and a hopeless one, with the chosen callbacks."""
    study = study_of(pruner=build_pruner(PRUNING))
    for k_loc in (3.0, 3.1, 2.9, 3.0, 9.5):
        trial = study.ask()
        callback = PruningCallback(
            ClaimedTrial(trial), PRUNING, lambda: study.get_trials(deepcopy=False)
        )
        trainer = Told(joint(EPOCHS).plans, k_locs(*[k_loc] * EPOCHS))
        outcome = followed(trainer, *choose(callback))
        trial.set_user_attr(PRUNING_COUNTS, callback.counts())
        if outcome.status == "pruned":
            study.tell(trial, state=TrialState.PRUNED)
        else:
            study.tell(trial, k_loc)
    return study


def test_a_hopeless_trial_is_pruned_right_after_the_warmup() -> None:
    study = searched(lambda callback: [callback, callback.enforce])

    *good, hopeless = study.trials
    assert [TrialState.COMPLETE] * 4 == [trial.state for trial in good]
    assert (TrialState.PRUNED, PRUNING.first) == (hopeless.state, hopeless.last_step)
    assert [list(range(1, EPOCHS + 1))] * 4 == [list(each.intermediate_values) for each in good]
    assert check_pruning_ran(study) is None


@pytest.mark.parametrize(
    ("choose", "message"),
    [
        (lambda _: [], "none of 5 finished trials reported a score, so none could be pruned"),
        (lambda callback: [callback], "the pruner was never asked: ask it after every epoch"),
    ],
    ids=["never reported", "never asked"],
)
def test_a_study_whose_pruner_was_not_used_is_noticed(choose: Choose, message: str) -> None:
    study = searched(choose)

    fault = check_pruning_ran(study)

    assert [TrialState.COMPLETE] * 5 == [trial.state for trial in study.trials]
    assert fault is not None
    assert message in fault.sentence


def train_silently(claim: Claim) -> None:
    """Training as it was once: only the last score is recorded."""
    claim.finish(TrialResult("complete", "finished", score(claim.suggest(draw), STEPS)))


def test_a_study_in_a_store_whose_trials_never_reported_is_an_error(
    own_store: StudyStore,
) -> None:
    study = toy_study(own_store, 3)
    for worker in (train, train_silently, train_silently):
        worker(claimed(queue_of(own_store, study)))

    found = violations(own_store, study)

    said = "it never reported, so nothing could be pruned"
    assert [("I3", 1, said), ("I3", 2, said)] == [
        (each.rule, each.number, each.sentence) for each in found
    ]
