"""Every epoch is reported once, and the pruner is asked; a study without that is noticed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial

from risexp.hpo.search.pruning_callback import (
    PRUNING_COUNTS,
    PruningCallback,
    able,
    check_pruning_ran,
    pruning_summary,
)
from risexp.hpo.search.warmup import Pruning
from risexp.space.study_spec import StudySpec
from tests.support.recorded_runs import ended_of, followed, joint, plan_of
from tests.support.spaces import learning
from tests.support.studies import reported, study_of

PEERS = [reported([3.0] * 6) for _ in range(5)]


def numbered(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    for number, trial in enumerate(trials):
        trial.number = number
    return [*trials]


def pruning(**pruner: object) -> Pruning:
    section = {"kind": "median", "warmup": 2, **pruner}
    space = learning(fixed={"training.epochs": 6}, pruner=section)
    return Pruning.of(StudySpec.of(space))


@dataclass
class ClaimedTrial:
    """A trial that keeps its reports, and is pruned after some epoch."""

    number: int = 99
    end: int | None = None
    known: Mapping[int, float] = field(default_factory=dict)
    reports: list[tuple[int, float]] = field(default_factory=list)

    def report(self, step: int, value: float) -> str:
        if step in self.known:
            return "known" if self.known[step] == value else "different"
        self.reports.append((step, value))
        return "written"

    def should_prune(self) -> bool:
        return self.end is not None and self.reports[-1][0] >= self.end


def callback(claim: ClaimedTrial) -> PruningCallback:
    return PruningCallback(claim, pruning(), lambda: numbered(PEERS))


def test_every_epoch_is_reported_and_the_pruner_asked_after_every_one_but_the_last() -> None:
    claim = ClaimedTrial()
    pruning_callback = callback(claim)

    pruning_callback(ended_of(plan_of(1)))
    assert ([(1, 3.412)], 0) == (claim.reports, pruning_callback.counts()["asked"])
    claim = ClaimedTrial()
    pruning_callback = callback(claim)
    followed(joint(6), pruning_callback, pruning_callback.enforce)

    # Epochs 3, 4 and 5 come after the warm-up and before the last.
    assert {"reports": 6, "different": 0, "asked": 5, "able": 3} == pruning_callback.counts()
    assert [(epoch, 3.412) for epoch in range(1, 7)] == claim.reports


def test_a_trial_is_pruned_when_the_pruner_says_so() -> None:
    pruning_callback = callback(ClaimedTrial(end=4))

    outcome = followed(joint(6), pruning_callback, pruning_callback.enforce)

    assert ("pruned", "pruned", 0) == (outcome.status, outcome.reason, outcome.exit_code)
    assert "k_loc 3.412 after epoch 4: ended by the median rule" == outcome.sentence
    assert 4 == pruning_callback.counts()["reports"]


def test_epochs_reported_again_with_another_score_are_counted() -> None:
    claim = ClaimedTrial(known={1: 3.412, 2: 8.0})
    pruning_callback = callback(claim)

    followed(joint(3), pruning_callback)

    assert [3] == [step for step, _ in claim.reports]
    assert {"reports": 3, "different": 1, "asked": 0, "able": 0} == pruning_callback.counts()


MEDIAN: Mapping[str, object] = {"kind": "median", "warmup": 2}
THRESHOLD: Mapping[str, object] = {"kind": "optuna", "name": "ThresholdPruner", "warmup": 3}
ASHA: Mapping[str, object] = {"kind": "asha", "warmup": 2}
PATIENT: Mapping[str, object] = {"kind": "patient", "patience": 4}


@pytest.mark.parametrize(
    ("pruner", "epoch", "peers", "expected"),
    [
        pytest.param(MEDIAN, 2, PEERS, False, id="in the warm-up"),
        pytest.param(MEDIAN, 3, PEERS, True, id="after it"),
        pytest.param(MEDIAN, 3, PEERS[:4], False, id="too few trials"),
        pytest.param({**MEDIAN, "interval": 2}, 4, PEERS, False, id="between two checks"),
        pytest.param({**MEDIAN, "interval": 2}, 5, PEERS, True, id="at a check"),
        pytest.param(MEDIAN, 7, PEERS, False, id="no peer reported so far"),
        pytest.param(
            MEDIAN, 3, [reported([3.0] * 6, TrialState.PRUNED)] * 5, False, id="none complete"
        ),
        pytest.param(ASHA, 3, PEERS[:1], True, id="asha"),
        pytest.param(ASHA, 3, [reported([3.0] * 2)], False, id="no peer on the rung of asha"),
        pytest.param(THRESHOLD, 3, [], False, id="another pruner in the warm-up"),
        pytest.param(THRESHOLD, 4, [], True, id="another pruner"),
        pytest.param({"kind": "none"}, 5, PEERS, False, id="no pruner"),
        pytest.param(PATIENT, 5, PEERS, False, id="in the patience"),
        pytest.param(PATIENT, 6, PEERS, True, id="after the patience"),
    ],
)
def test_it_is_known_when_a_pruner_could_end_a_trial(
    pruner: Mapping[str, object], epoch: int, peers: Sequence[FrozenTrial], expected: bool
) -> None:
    space = learning(fixed={"training.epochs": 6}, pruner=pruner)

    assert expected == able(Pruning.of(StudySpec.of(space)), numbered(peers), 99, epoch)


def test_a_trial_is_not_its_own_peer() -> None:
    (own,) = numbered([reported([3.0] * 6, TrialState.RUNNING)])

    assert not able(pruning(kind="asha"), [own], own.number, 3)
    assert able(pruning(kind="asha"), [own], 99, 3)


def finished(reports: int, **counts: int) -> FrozenTrial:
    return create_trial(
        value=3.0,
        intermediate_values=dict.fromkeys(range(1, reports + 1), 3.0),
        user_attrs={PRUNING_COUNTS: counts} if counts else {},
    )


def test_a_study_whose_pruner_was_not_used_is_noticed() -> None:
    for trials, message in (
        ([create_trial(state=TrialState.FAIL)], None),
        ([finished(6, asked=5, able=0)], None),
        ([finished(1)], None),
        ([finished(0), finished(0)], "none of 2 finished trials reported a score"),
        ([finished(0), finished(6)], "reported up to 6 epochs, and the pruner was never asked"),
    ):
        study = study_of()
        study.add_trials(trials)

        fault = check_pruning_ran(study)

        assert (fault is None) == (message is None)
        assert fault is None or (fault.guard == "pruner" and str(message) in fault.sentence)


def test_pruning_is_summed_up_in_one_sentence() -> None:
    study = study_of()
    study.add_trials([finished(6, asked=5, able=3), reported([4.0] * 3, TrialState.PRUNED)])

    assert (
        "1 of 2 trials pruned (9 scores reported, 5 checks, 3 of them could end a trial)"
        == pruning_summary(study)
    )
