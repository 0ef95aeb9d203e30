"""Pruners end trials after the warm-up; a new kind is one section."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, cast

import pytest
from optuna.pruners import HyperbandPruner, NopPruner, PatientPruner
from optuna.trial import Trial, TrialState

from risexp.hpo.search.pruners import build_pruner
from risexp.hpo.search.warmup import Pruning
from risexp.space.pruners import Pruner, WarmupSection
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
        pruned_epochs(peer, good)  # a rung is recorded when the pruner is asked
        study.tell(peer, good[-1])
    ended = pruned_epochs(study.ask(), scores)
    return ended[0] if ended else None


def pruned_epochs(trial: Trial, scores: Sequence[float]) -> list[int]:
    """The epochs after which a trial would be ended."""
    ended = []
    for epoch, score in enumerate(scores, start=1):
        trial.report(score, epoch)
        if trial.should_prune():
            ended.append(epoch)
    return ended


@pytest.mark.parametrize("kind", ["median", "percentile", "asha"])
def test_a_bad_trial_is_ended_right_after_its_warmup_and_a_good_one_never(kind: str) -> None:
    ended = [ended_at({"kind": kind, "warmup": warmup}, [BAD] * EPOCHS) for warmup in (0, 5)]

    assert [1, 6] == ended
    assert ended_at({"kind": kind}, [2.5] * EPOCHS) is None


def test_a_median_waits_for_its_warmup_and_complete_trials_and_a_percentile_for_few() -> None:
    rule = {"kind": "median", "startup": 4, "warmup": 0}
    percentile = {"kind": "percentile", "percentile": 10.0, "warmup": 0}

    assert [None, 1] == [ended_at(rule, [BAD] * EPOCHS, peers=peers) for peers in (3, 4)]
    assert 4 == ended_at({"kind": "median"}, [BAD] * EPOCHS), "three epochs without a ramp"
    assert 1 == ended_at(percentile, [3.1] * EPOCHS)


@pytest.mark.parametrize(("interval", "epoch"), [(1, 4), (3, 6)])
def test_a_median_is_asked_every_few_epochs_from_its_warmup_on(interval: int, epoch: int) -> None:
    rule = {"kind": "median", "warmup": 2, "interval": interval}
    falling = [3.0, 3.0, 3.0, *[1.0] * (EPOCHS - 3)]

    # Good enough at epoch 3, and from epoch 4 on no longer.
    assert epoch == ended_at(rule, [2.5] * EPOCHS, good=falling)


def test_a_patient_pruner_waits_until_a_trial_no_longer_improves() -> None:
    better = [BAD - 0.1 * epoch for epoch in range(1, 6)]
    rule = {"kind": "patient", "patience": 2, "pruner": {"kind": "median", "warmup": 0}}

    # After epoch 5 it takes patience + 1 epochs without a better score.
    assert 8 == ended_at(rule, [*better, *[BAD] * 7])
    assert ended_at({"kind": "patient"}, [2.5] * EPOCHS) is None


def test_a_pruner_of_optuna_without_a_warmup_is_silent_in_ours() -> None:
    above = {"kind": "optuna", "name": "ThresholdPruner", "options": {"upper": 5.0}}

    assert 7 == ended_at({**above, "warmup": 6}, [BAD] * EPOCHS)
    assert 4 == ended_at(above, [BAD] * EPOCHS)
    assert ended_at(above, [4.0] * EPOCHS) is None


def test_every_kind_is_a_class_of_optuna() -> None:
    kinds = {"none": NopPruner, "patient": PatientPruner, "hyperband": HyperbandPruner}

    assert [*kinds.values()] == [type(build_pruner(pruning({"kind": kind}))) for kind in kinds]
    assert ended_at({"kind": "none"}, [BAD] * EPOCHS) is None
    banded = ended_at({"kind": "hyperband", "warmup": 2}, [BAD] * EPOCHS, peers=20)
    assert banded is not None
    assert banded >= 3


def test_pruned_and_failed_trials_are_no_measure() -> None:
    study = study_of(pruner=build_pruner(pruning({"kind": "median", "startup": 1, "warmup": 0})))
    study.add_trial(reported(GOOD, TrialState.PRUNED))
    study.add_trial(reported(GOOD, TrialState.FAIL))

    assert [] == pruned_epochs(study.ask(), [BAD] * 3)


class Ceiling(WarmupSection):
    """A new kind of pruner: ends a trial whose score is above a limit."""

    optuna = "ThresholdPruner"
    sources: ClassVar[Mapping[str, str]] = {"upper": "highest"}

    kind: Literal["ceiling"] = "ceiling"
    highest: float = 5.0


def test_a_new_kind_of_pruner_needs_its_section_only() -> None:
    pruner = build_pruner(Pruning(cast("Pruner", Ceiling(highest=4.0)), 6, 1, EPOCHS))

    ended = [pruned_epochs(study_of(pruner=pruner).ask(), [score] * 8) for score in (BAD, 3.5)]

    assert [[7, 8], []] == ended
