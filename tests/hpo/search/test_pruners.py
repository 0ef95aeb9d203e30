"""Which trials are ended: from the epoch after the warm-up on, by scores reported from epoch 1."""

from collections.abc import Mapping, Sequence

import pytest
from optuna.pruners import NopPruner, PatientPruner
from optuna.trial import Trial, TrialState

from risexp.hpo.search.pruners import build_pruner
from risexp.hpo.search.pruning import Pruning
from risexp.space.study_spec import StudySpec
from tests.support.spaces import learning
from tests.support.studies import reported, study_of

EPOCHS = 12
GOOD, BAD = [3.0] * EPOCHS, 9.0


def pruning(pruner: Mapping[str, object]) -> Pruning:
    space = learning(fixed={"training.epochs": EPOCHS}, pruner=pruner)
    return Pruning.of(StudySpec.of(space))


def ended_at(
    pruner: Mapping[str, object],
    scores: Sequence[float],
    peers: int = 6,
    good: Sequence[float] = GOOD,
) -> int | None:
    """The epoch after which a trial with these scores is ended, beside good ones."""
    study = study_of(pruner=build_pruner(pruning(pruner)))
    for _ in range(peers):
        peer = study.ask()
        asked(peer, good)  # rungs are taken by those who ask
        study.tell(peer, good[-1])
    ended = asked(study.ask(), scores)
    return ended[0] if ended else None


def asked(trial: Trial, scores: Sequence[float]) -> list[int]:
    """The epochs after which a trial would be ended."""
    ended = []
    for epoch, score in enumerate(scores, start=1):
        trial.report(score, epoch)
        if trial.should_prune():
            ended.append(epoch)
    return ended


@pytest.mark.parametrize("warmup", [0, 1, 5])
@pytest.mark.parametrize("kind", ["median", "percentile", "asha"])
def test_no_trial_is_ended_in_its_warmup_and_a_bad_one_right_after(kind: str, warmup: int) -> None:
    assert warmup + 1 == ended_at({"kind": kind, "warmup": warmup}, [BAD] * EPOCHS)


def test_hyperband_ends_no_trial_in_its_warmup() -> None:
    ended = ended_at({"kind": "hyperband", "warmup": 2}, [BAD] * EPOCHS, peers=20)

    assert ended is not None
    assert ended >= 3


def test_automatic_warmup_is_three_epochs_without_a_ramp() -> None:
    assert ended_at({"kind": "median"}, [BAD] * EPOCHS) == 4


@pytest.mark.parametrize(
    "pruner",
    [
        {"kind": "median"},
        {"kind": "percentile"},
        {"kind": "asha", "reduction": 2},
        {"kind": "patient"},
    ],
)
def test_a_trial_that_is_as_good_goes_on(pruner: Mapping[str, object]) -> None:
    assert ended_at(pruner, [2.5] * EPOCHS) is None


def test_a_median_waits_for_complete_trials() -> None:
    rule = {"kind": "median", "startup": 4, "warmup": 0}

    assert ended_at(rule, [BAD] * EPOCHS, peers=3) is None
    assert ended_at(rule, [BAD] * EPOCHS, peers=4) == 1


@pytest.mark.parametrize(("interval", "epoch"), [(1, 4), (3, 6), (5, 8)])
def test_a_median_is_asked_every_few_epochs_from_its_warmup_on(interval: int, epoch: int) -> None:
    rule = {"kind": "median", "warmup": 2, "interval": interval}
    falling = [3.0, 3.0, 3.0, *[1.0] * (EPOCHS - 3)]

    # Good enough at epoch 3, and from epoch 4 on no longer.
    assert epoch == ended_at(rule, [2.5] * EPOCHS, good=falling)


def test_a_percentile_ends_what_is_not_among_the_best() -> None:
    rule = {"kind": "percentile", "percentile": 10.0, "warmup": 0}

    assert ended_at(rule, [3.1] * EPOCHS) == 1


def test_a_patient_pruner_asks_once_a_trial_no_longer_improves() -> None:
    better = [BAD - 0.1 * epoch for epoch in range(1, 6)]
    rule = {"kind": "patient", "patience": 2, "pruner": {"kind": "median", "warmup": 0}}

    # After epoch 5 it takes patience + 1 epochs without a better score.
    assert ended_at(rule, [*better, *[BAD] * 7]) == 8


def test_another_of_optunas_is_silent_in_its_warmup() -> None:
    above = {"kind": "optuna", "name": "ThresholdPruner", "options": {"upper": 5.0}}

    assert ended_at({**above, "warmup": 6}, [BAD] * EPOCHS) == 7
    assert ended_at(above, [BAD] * EPOCHS) == 4
    assert ended_at(above, [4.0] * EPOCHS) is None


def test_none_ends_no_trial() -> None:
    assert isinstance(build_pruner(pruning({"kind": "none"})), NopPruner)
    assert ended_at({"kind": "none"}, [BAD] * EPOCHS) is None


def test_a_patient_pruner_is_optunas() -> None:
    assert isinstance(build_pruner(pruning({"kind": "patient"})), PatientPruner)


def test_pruned_and_failed_trials_are_no_measure() -> None:
    study = study_of(pruner=build_pruner(pruning({"kind": "median", "startup": 1, "warmup": 0})))
    study.add_trial(reported(GOOD, TrialState.PRUNED))
    study.add_trial(reported(GOOD, TrialState.FAIL))

    assert asked(study.ask(), [BAD] * 3) == []
