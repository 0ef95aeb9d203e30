"""The warm-up of a study's pruner lasts as long as a ramp of any trial."""

from collections.abc import Mapping

import pytest

from risexp.errors import ConfigInvalid
from risexp.hpo.search.warmup import Pruning
from risexp.space.study_spec import StudySpec
from tests.support.spaces import RIDGE, learning, only_when, planted

TWENTY: Mapping[str, object] = {"training.epochs": 20}
FINAL: Mapping[str, object] = {"kind": "uniform", "low": 0.0, "high": 0.4}


def pruning(
    vary: Mapping[str, object], fixed: Mapping[str, object] | None = None, **more: object
) -> Pruning:
    all_fixed = {**TWENTY, **(fixed or {})}
    return Pruning.of(StudySpec.of(planted(vary, base="smoke", fixed=all_fixed, **more)))


def median(**message: object) -> Mapping[str, object]:
    return {"kind": "median", **message}


def test_without_ramps_the_first_few_epochs_are_left_alone() -> None:
    resolved = pruning({"sampled.ridge": RIDGE})
    none = pruning({"beta.final": FINAL}, pruner={"kind": "none"})

    assert (3, 4, 1, 20) == (resolved.warmup, resolved.first, resolved.settled, resolved.epochs)
    assert ([], []) == (list(none.problems()), list(none.notes(1)))


@pytest.mark.parametrize(
    ("vary", "fixed", "settled"),
    [
        ({"sampled.ridge": RIDGE}, {"beta.final": 0.3}, 4),
        ({"sampled.ridge": RIDGE}, {"beta.final": 0.3, "beta.ramp_share": 0.5}, 10),
        ({"sampled.ridge": RIDGE}, {"curriculum.count_ramp": 7}, 7),
        ({"sampled.ridge": RIDGE}, {"curriculum.structure_ramp": 9, "loss.subspace": 0.1}, 9),
        # A base without a ramp, and trials that have one.
        ({"beta.final": FINAL}, {}, 4),
        ({"curriculum.count_ramp": {"kind": "int", "low": 0, "high": 8}}, {}, 8),
        # Neither has a ramp alone.
        (
            {"beta.final": FINAL, "beta.ramp_share": {"kind": "uniform", "low": 0.1, "high": 0.6}},
            {},
            12,
        ),
        (
            {"loss.subspace": {"kind": "choice", "options": [0.5, 0.0]}},
            {"curriculum.structure_ramp": 6},
            6,
        ),
        # Only under a choice that no base has.
        (
            {
                "count.kind": {"kind": "choice", "options": ["ordinal", "softmax"]},
                "curriculum.count_ramp": only_when(
                    {"kind": "int", "low": 2, "high": 5}, count__kind="softmax"
                ),
            },
            {},
            5,
        ),
    ],
)
def test_the_warmup_covers_the_longest_ramp_of_any_trial(
    vary: Mapping[str, object], fixed: Mapping[str, object], settled: int
) -> None:
    resolved = pruning(vary, fixed)

    assert settled == resolved.settled
    assert max(settled, 3) == resolved.warmup
    assert [] == list(resolved.problems())


def test_a_combination_that_is_forbidden_is_not_waited_for() -> None:
    ramps = {"curriculum.count_ramp": {"kind": "choice", "options": [0, 4, 9]}}

    assert 4 == pruning(ramps, forbid=[{"curriculum.count_ramp": 9}]).settled
    assert 9 == pruning(ramps).settled


def test_a_trial_without_a_plan_is_named() -> None:
    ramps = {"curriculum.count_ramp": {"kind": "int", "low": 0, "high": 30}}

    with pytest.raises(ConfigInvalid) as caught:
        pruning(ramps)

    message = "curriculum.count_ramp = 30: training.epochs = 20 end before the 30 epochs of "
    assert str(caught.value).startswith(message)


def test_a_warmup_that_ends_before_the_ramps_is_a_problem() -> None:
    warmups = (2, 3, "auto")

    problems = [
        list(pruning({"beta.final": FINAL}, pruner=median(warmup=warmup)).problems())
        for warmup in warmups
    ]

    assert [1, 0, 0] == list(map(len, problems))


@pytest.mark.parametrize(
    ("pruner", "epochs", "trials", "message"),
    [
        (median(), 4, 20, "its warm-up of 3 epochs leaves none of 4 before the last"),
        (median(), 5, 20, None),
        (median(warmup=0), 1, 20, "leaves none of 1 before the last"),
        (median(startup=8), 20, 8, "it waits for 8 complete ones, and there are 8"),
        (median(startup=2, least=8), 20, 9, None),
        ({"kind": "asha"}, 20, 1, "it waits for 1 complete ones, and there are 1"),
        ({"kind": "hyperband"}, 40, 5, "hyperband divides 5 trials among 3 brackets"),
        ({"kind": "hyperband"}, 40, 6, None),
        ({"kind": "patient", "patience": 6}, 8, 20, "a patience of 6 epochs is never over before"),
        ({"kind": "patient", "patience": 5}, 8, 20, None),
        ({"kind": "patient", "pruner": median(startup=9)}, 20, 9, "it waits for 9 complete ones"),
        ({"kind": "optuna", "name": "ThresholdPruner"}, 20, 1, None),
    ],
)
def test_a_pruner_that_can_end_no_trial_is_noted_before_the_search(
    pruner: Mapping[str, object], epochs: int, trials: int, message: str | None
) -> None:
    resolved = pruning({"sampled.ridge": RIDGE}, {"training.epochs": epochs}, pruner=pruner)

    notes = list(resolved.notes(trials))

    assert [] == notes if message is None else message in notes[0]


def test_options_of_the_search_and_lengths_that_vary_move_the_warmup() -> None:
    """Beta has its final value after a fifth of the epochs."""
    space = learning(fixed={**TWENTY, "beta.final": 0.3})
    lengths = {"training.epochs": {"kind": "int", "low": 5, "high": 40}}
    varied = Pruning.of(StudySpec.of(planted(lengths, base="smoke", fixed={"beta.final": 0.3})))

    assert 4 == Pruning.of(StudySpec.of(space)).warmup
    assert 8 == Pruning.of(StudySpec.of(space, epochs=40)).warmup
    assert (8, 40) == (varied.settled, varied.epochs)
