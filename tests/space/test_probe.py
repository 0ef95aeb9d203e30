"""Pairs of runs that differ in one dimension with an effect."""

from risexp.space.probe import Pair, pairs
from risexp.space.spec import SearchSpace
from tests.support.spaces import LEARNING, learning, only_when, planted


def found(space: SearchSpace) -> dict[str, Pair]:
    return {pair.path: pair for pair in pairs(space, space.trial_zero().config)}


def test_every_dimension_is_compared_at_its_bounds_and_nothing_else_differs() -> None:
    compared = found(learning())

    assert LEARNING.keys() == compared.keys()
    assert (1, 7) == (compared["network.depth"].one, compared["network.depth"].two)
    ema = compared["training.ema_decay"]
    assert (None, 0.999) == (ema.one, ema.two)
    for path, pair in compared.items():
        one, two = (config.flat() for config in pair.configs)
        assert {path} == {each for each in one if one[each] != two[each]}
        assert (pair.one, pair.two) == (one[path], two[path])
    smoothing = compared["count.smoothing"].configs
    assert ["softmax", "softmax"] == [config.count.kind for config in smoothing]


def test_a_dimension_is_compared_only_where_others_bring_it_to_life() -> None:
    ramp = {"curriculum.structure_ramp": {"kind": "int", "low": 0, "high": 3}}
    weight = {"loss.subspace": {"kind": "uniform", "low": 0.0, "high": 1.0}}

    compared = found(planted({**weight, **ramp}, base="smoke"))["curriculum.structure_ramp"]

    assert all(config.loss.subspace > 0.0 for config in compared.configs)
    assert {} == found(planted(ramp, base="smoke"))


def test_forbidden_runs_are_not_compared() -> None:
    kinds = {"kind": "choice", "options": ["ordinal", "softmax", "slots"]}
    depth = {"kind": "int", "low": 1, "high": 3}
    forbid = [{"network.depth": 3, "count.kind": "ordinal"}]

    vary = {
        "count.kind": kinds,
        "network.depth": only_when(depth, count__kind=["ordinal", "slots"]),
    }
    compared = found(planted(vary, base="smoke", forbid=forbid))["network.depth"]

    assert ["slots", "slots"] == [config.count.kind for config in compared.configs]
