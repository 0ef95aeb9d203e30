"""The whole check of a space: beyond its file, its plans, its sampler, its pruner and its cost."""

from collections.abc import Mapping

import pytest

from risexp.app.space.check import review
from risexp.config.layers import Layer
from risexp.space.files import load_space, space_paths
from tests.support.spaces import learning


@pytest.mark.parametrize("name", space_paths())
def test_every_shipped_space_may_be_searched_and_pruned_as_it_says(name: str) -> None:
    found = review(load_space(name))

    assert found.problems == ()
    assert found.notes == ()
    assert found.cost is not None


def test_the_shipped_smoke_space_is_small() -> None:
    cost = review(load_space("smoke")).cost

    assert cost is not None
    assert cost.scenes <= 60_000


def test_the_wide_space_moves_what_the_small_preset_holds_still() -> None:
    wide = load_space("wide")

    assert wide.base == "small"
    assert {"training.optimizer.lr", "network.width", "loss.count", "beta.final"} <= set(wide.vary)


@pytest.mark.parametrize(
    ("more", "said"),
    [
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
    ],
)
def test_what_would_fail_in_a_search_is_a_problem_before_it(
    more: Mapping[str, object], said: str
) -> None:
    epochs = {"training.epochs": 8}
    fixed = more.get("fixed", {})
    assert isinstance(fixed, dict)

    found = review(learning(trials=20, **{**more, "fixed": epochs | fixed}))

    assert len(found.problems) == 1
    assert found.problems[0].startswith(said)
    assert found.cost is None


def test_a_pruner_that_could_end_nothing_is_noted() -> None:
    found = review(learning(trials=20))

    assert found.sound
    assert found.notes == (
        "the pruner can end no trial: its warm-up of 3 epochs leaves none of 3 before the last",
    )


def test_what_a_search_sets_is_looked_at_with_the_space() -> None:
    space = learning(trials=20, fixed={"training.epochs": 8})
    over = (Layer("--epochs", {"training.epochs": 3}),)

    assert review(space).notes == ()
    assert len(review(space, over).notes) == 1
    assert len(review(space, trials=3).notes) == 1
    invalid = review(space, (Layer("--set", {"data.seed": -1}),))
    assert "data.seed = -1 (from --set)" in invalid.problems[0]


def test_a_space_that_is_none_costs_nothing() -> None:
    found = review(learning(fixed={"data.sede": 1}))

    assert found.problems == ("fixed: there is no field 'data.sede'; did you mean data.seed?",)
    assert found.as_json(500.0)["cost"] is None
