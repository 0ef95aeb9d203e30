"""Checks of a space: its plans, its sampler, its pruner and its cost."""

from collections.abc import Mapping, Sequence

from risexp.app.space.check import review
from risexp.config.layers import Layer
from risexp.space.files import load_space, space_paths
from tests.support.spaces import learning


def test_every_shipped_space_may_be_searched_and_pruned() -> None:
    for name in space_paths():
        result = review(load_space(name))
        assert ((), ()) == (result.problems, result.notes), name
        assert result.cost is not None
        assert name != "smoke" or result.cost.scenes <= 60_000


PROBLEMS: Sequence[tuple[Mapping[str, object], str]] = (
    (
        {"pruner": {"kind": "median", "warmup": 2}, "fixed": {"curriculum.count_ramp": 5}},
        (
            "pruner: a warm-up of 2 epochs ends while ramps of beta, count or structure move "
            "scores, which they do until epoch 5: give it 4 or more, or auto"
        ),
    ),
    (
        {"fixed": {"curriculum.count_ramp": 9}},
        (
            "a trial has no plan: training.epochs = 8 end before the 9 epochs of "
            "curriculum.count_ramp, and no epoch could be judged"
        ),
    ),
    (
        {"sampler": {"kind": "optuna", "name": "TPESmapler"}},
        "Optuna has no sampler 'TPESmapler' that can be used here; did you mean TPESampler?",
    ),
    (
        {"pruner": {"kind": "optuna", "name": "ThresholdPruner"}},
        "pruner ThresholdPruner cannot be made: Either lower or upper must be specified",
    ),
    (
        {"pruner": {"kind": "patient", "pruner": {"kind": "optuna", "name": "Median"}}},
        "Optuna has no pruner 'Median' that can be used here; did you mean MedianPruner?",
    ),
)


def test_a_search_that_would_fail_is_a_problem_before_it() -> None:
    for more, sentence in PROBLEMS:
        fixed = more.get("fixed", {})
        assert isinstance(fixed, dict)

        result = review(learning(trials=20, **{**more, "fixed": {"training.epochs": 8} | fixed}))

        assert 1 == len(result.problems)
        assert result.problems[0].startswith(sentence)
        assert result.cost is None


def test_a_pruner_that_could_end_nothing_is_noted() -> None:
    result = review(learning(trials=20))

    assert result.sound
    assert result.notes == (
        "the pruner can end no trial: its warm-up of 3 epochs leaves none of 3 before the last",
    )


def test_overrides_of_a_search_are_checked_with_the_space() -> None:
    space = learning(trials=20, fixed={"training.epochs": 8})
    over = (Layer("--epochs", {"training.epochs": 3}),)

    assert review(space).notes == ()
    assert len(review(space, over).notes) == 1
    assert len(review(space, trials=3).notes) == 1
    invalid = review(space, (Layer("--set", {"data.seed": -1}),))
    assert "data.seed = -1 (from --set)" in invalid.problems[0]
