"""Once: no trial ever reported, so nothing was pruned, and the savings were made up."""

from collections.abc import Callable

import optuna
import pytest
from optuna.study import Study
from optuna.trial import Trial, TrialState

from risexp.callbacks.run_loop import Callback
from risexp.hpo.search.pruners import build_pruner
from risexp.hpo.search.pruning_callback import PRUNING_COUNTS, PruningCallback, check_pruning_ran
from risexp.hpo.search.warmup import Pruning
from risexp.space.study_spec import StudySpec
from tests.support.recorded_runs import Told, followed, joint, k_locs
from tests.support.spaces import learning
from tests.support.studies import study_of

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


def test_a_pruner_that_can_end_no_trial_is_noted_before_the_search() -> None:
    late = {"kind": "median", "warmup": EPOCHS - 1}
    space = learning(fixed={"training.epochs": EPOCHS}, pruner=late)

    (note,) = Pruning.of(StudySpec.of(space)).notes(trials=20)

    assert "the pruner can end no trial: its warm-up of 5 epochs leaves none of 6" in note


def test_a_warmup_shorter_than_the_ramp_of_beta_is_refused() -> None:
    hasty = {"kind": "median", "warmup": 1}
    fixed = {"training.epochs": 30, "beta.final": 0.3}

    (problem,) = Pruning.of(StudySpec.of(learning(fixed=fixed, pruner=hasty))).problems()

    # At epoch 6 of 30 beta is .30 for the first time.
    assert "until epoch 6: give it 5 or more, or auto" in problem


def test_optuna_itself_says_nothing_when_nothing_is_reported() -> None:
    study = optuna.create_study(pruner=optuna.pruners.MedianPruner(n_startup_trials=1))
    for _ in range(4):
        study.tell(study.ask(), 1.0)

    assert not study.ask().should_prune()
