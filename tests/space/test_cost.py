"""The largest cost of a search, in scenes and in time."""

from risexp.config.layers import Layer
from risexp.space.cost import cost_of, in_words
from risexp.space.spec import SearchSpace
from tests.support.spaces import RIDGE, learning, planted


def test_the_cost_is_that_of_trials_that_all_come_to_their_longest_end() -> None:
    cost = cost_of(learning(trials=10, fixed={"training.epochs": 5}))
    lengths = {
        "training.epochs": {"kind": "int", "low": 2, "high": 6},
        "training.scenes_per_epoch": {"kind": "choice", "options": [2048, 1024]},
    }
    stages = {"one": {"sampled.ridge": RIDGE}, "two": {"sampled.ridge": RIDGE}}
    staged = cost_of(
        SearchSpace.model_validate({"name": "s", "trials": 4, "base": "smoke", "stages": stages})
    )

    assert (10, 5, 10 * 5 * 1024) == (cost.trials, cost.epochs, cost.scenes)
    assert 100.0 == cost.seconds(512.0)
    assert 100.0 == cost.as_json(512.0)["seconds"]
    assert 4 * 6 * 2048 == cost_of(planted(lengths, base="smoke")).scenes
    assert 4 * 1024 == cost_of(learning(), (Layer("--epochs", {"training.epochs": 1}),)).scenes
    assert (8, 8 * 3 * 1024) == (staged.trials, staged.scenes)


def test_times_are_said_as_people_say_them() -> None:
    cases: list[tuple[float, str]] = [
        (0.4, "0 s"),
        (89.0, "89 s"),
        (98.0, "2 min"),
        (3599.0, "1 h 00 min"),
        (3000.0, "50 min"),
        (15_729.0, "4 h 22 min"),
        (360_000.0, "100 h 00 min"),
    ]
    for seconds, part in cases:
        assert part == in_words(seconds), (seconds, part)
