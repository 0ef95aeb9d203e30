"""That every epoch is reported once and the pruner asked, and that a study that was not is told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial

from risexp.hpo.search.pruning import Pruning
from risexp.hpo.search.pruning_callback import (
    PRUNING_COUNTS,
    PruningCallback,
    able,
    check_pruning_ran,
    pruning_summary,
)
from risexp.space.study_spec import StudySpec
from tests.support.recorded_runs import Told, ended_of, followed, joint, k_locs, plan_of, plans_of
from tests.support.spaces import learning
from tests.support.studies import reported, study_of

PEERS = [reported([3.0] * 6) for _ in range(5)]


def numbered(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    for number, trial in enumerate(trials):
        trial.number = number
    return [*trials]


def pruning(**pruner: object) -> Pruning:
    said = {"kind": "median", "warmup": 2, **pruner}
    space = learning(fixed={"training.epochs": 6}, pruner=said)
    return Pruning.of(StudySpec.of(space))


@dataclass
class Claimed:
    """A trial that remembers what it was told, and is ended after some epoch."""

    number: int = 99
    end: int | None = None
    known: Mapping[int, float] = field(default_factory=dict)
    told: list[tuple[int, float]] = field(default_factory=list)

    def report(self, step: int, value: float) -> str:
        if step in self.known:
            return "known" if self.known[step] == value else "different"
        self.told.append((step, value))
        return "written"

    def should_prune(self) -> bool:
        return self.end is not None and self.told[-1][0] >= self.end


def listened(claim: Claimed, trainer: Told, rule: Pruning) -> PruningCallback:
    """What was heard of a whole run."""
    hearing = PruningCallback(claim, rule, lambda: numbered(PEERS))
    followed(trainer, hearing, hearing.enforce)
    return hearing


def test_every_epoch_is_reported_from_the_first_to_the_last() -> None:
    claim = Claimed()

    hearing = listened(claim, Told(plans_of(*("joint",) * 3), k_locs(3.0, 2.5, 2.0)), pruning())

    assert [(1, 3.0), (2, 2.5), (3, 2.0)] == claim.told
    assert hearing.reports == 3


def test_the_pruner_is_asked_after_every_epoch_but_the_last() -> None:
    hearing = listened(Claimed(), joint(6), pruning())

    # Epochs 3, 4 and 5 come after the warm-up and before the last.
    assert {"reports": 6, "different": 0, "asked": 5, "able": 3} == hearing.counts()


def test_a_trial_that_its_study_has_better_ones_than_is_pruned() -> None:
    hearing = PruningCallback(Claimed(end=4), pruning(), lambda: numbered(PEERS))

    outcome = followed(joint(6), hearing, hearing.enforce)

    assert ("pruned", "pruned", 0) == (outcome.status, outcome.reason, outcome.exit_code)
    assert outcome.sentence == "k_loc 3.412 after epoch 4: ended by the median rule"
    assert hearing.reports == 4


def test_what_is_reported_again_differently_is_counted() -> None:
    claim = Claimed(known={1: 3.412, 2: 8.0})

    hearing = listened(claim, joint(3), pruning())

    assert [3] == [step for step, _ in claim.told]
    assert (3, 1) == (hearing.reports, hearing.different)


def test_the_report_comes_before_whoever_may_fail_after_it() -> None:
    claim = Claimed()
    hearing = PruningCallback(claim, pruning(), list)

    hearing(ended_of(plan_of(1)))

    assert claim.told == [(1, 3.412)]
    assert hearing.asked == 0


@pytest.mark.parametrize(
    ("pruner", "epoch", "peers", "expected"),
    [
        ({}, 2, PEERS, False),
        ({}, 3, PEERS, True),
        ({}, 3, PEERS[:4], False),
        ({"startup": 4}, 3, PEERS[:4], True),
        ({"interval": 2}, 4, PEERS, False),
        ({"interval": 2}, 5, PEERS, True),
        ({}, 7, PEERS, False),
        ({}, 3, [reported([3.0] * 6, TrialState.PRUNED)] * 5, False),
        ({"kind": "asha"}, 3, PEERS[:1], True),
        ({"kind": "asha"}, 3, [reported([3.0] * 2)], False),
        ({"kind": "asha"}, 3, [], False),
    ],
    ids=[
        *(
            "in the warm-up",
            "after it",
            "too few",
            "enough",
            "between",
            "on time",
            "no peer so far",
        ),
        *("none complete", "asha", "asha below its rung", "asha alone"),
    ],
)
def test_it_is_known_when_a_pruner_could_have_ended_a_trial(
    pruner: Mapping[str, object], epoch: int, peers: Sequence[FrozenTrial], expected: bool
) -> None:
    assert expected == able(pruning(**pruner), numbered(peers), 99, epoch)


def test_a_trial_is_no_peer_of_its_own() -> None:
    (own,) = numbered([reported([3.0] * 6, TrialState.RUNNING)])

    assert not able(pruning(kind="asha"), [own], own.number, 3)
    assert able(pruning(kind="asha"), [own], 99, 3)


@pytest.mark.parametrize(
    ("said", "epoch", "expected"),
    [
        ({"kind": "none"}, 5, False),
        ({"kind": "optuna", "name": "ThresholdPruner"}, 4, True),
        ({"kind": "optuna", "name": "ThresholdPruner"}, 3, False),
        ({"kind": "patient", "patience": 4}, 5, False),
        ({"kind": "patient", "patience": 4}, 6, True),
    ],
)
def test_other_pruners_are_known_too(
    said: Mapping[str, object], epoch: int, expected: bool
) -> None:
    space = learning(fixed={"training.epochs": 6}, pruner=said)

    assert expected == able(Pruning.of(StudySpec.of(space)), numbered(PEERS), 99, epoch)


def finished(reports: int, **account: int) -> FrozenTrial:
    return create_trial(
        value=3.0,
        intermediate_values=dict.fromkeys(range(1, reports + 1), 3.0),
        user_attrs={PRUNING_COUNTS: account} if account else {},
    )


@pytest.mark.parametrize(
    ("trials", "said"),
    [
        ([], None),
        ([create_trial(state=TrialState.FAIL)], None),
        ([finished(6, asked=5, able=0)], None),
        ([finished(1)], None),
        ([finished(0), finished(0)], "none of 2 finished trials reported a score"),
        ([finished(0), finished(6)], "reported up to 6 epochs, and the pruner was never asked"),
        ([finished(6, asked=0, able=0)], "the pruner was never asked"),
    ],
    ids=["none", "failed", "sound", "one epoch", "silent", "unasked", "asked 0 times"],
)
def test_a_study_that_was_not_heard_is_told_so(
    trials: Sequence[FrozenTrial], said: str | None
) -> None:
    study = study_of()
    study.add_trials(trials)

    fault = check_pruning_ran(study)

    assert (fault is None) == (said is None)
    assert fault is None or (fault.guard == "pruner" and str(said) in fault.sentence)


def test_what_was_heard_is_said_in_one_sentence() -> None:
    study = study_of()
    study.add_trials([finished(6, asked=5, able=3), reported([4.0] * 3, TrialState.PRUNED)])

    assert pruning_summary(study) == (
        "9 scores were reported; the pruner was asked 5 times, could have ended a trial 3 times, "
        "and 1 of 2 trials were ended early"
    )
