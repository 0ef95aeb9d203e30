"""A narrower space lies around the best trials and starts with the best."""

import math
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risexp.errors import SpaceInvalid
from risexp.space.check import check_space
from risexp.space.files import load_space, space_text
from risexp.space.shrink import Ended, shrink
from risexp.space.spec import SearchSpace
from tests.support.spaces import LEARNING, learning, planted

RATE, COUNT = "training.optimizer.lr", "loss.count"


def searched(space: SearchSpace, scores: Sequence[float | None], seed: int = 0) -> list[Ended]:
    """Draws of a space with these scores."""
    source = random.Random(seed)  # noqa: S311 - no secret is drawn
    base = space.trial_zero().config
    return [Ended(space.draw(base, source), score) for score in scores]


def ended(path: str, values: Sequence[Any]) -> list[Ended]:
    """Trials of one dimension, the first the best."""
    return [Ended({path: value}, float(place)) for place, value in enumerate(values)]


def over(path: str, dimension: Mapping[str, object]) -> SearchSpace:
    return planted({path: dimension}, base="smoke")


def bounds(space: SearchSpace, path: str) -> tuple[float, float]:
    low, high = space.vary[path].ends()
    return float(str(low)), float(str(high))


def test_a_range_goes_around_the_best_quarter() -> None:
    space = over(COUNT, {"kind": "uniform", "low": 0.0, "high": 2.0})
    best = [0.8, 1.0, 1.2, 1.4]

    found = shrink(space, ended(COUNT, [*best, *[0.1] * 12]), "next")

    # A twentieth of the old extent on either side, which is more than a tenth of the new one.
    assert pytest.approx((0.7, 1.5)) == bounds(found, COUNT)
    assert ({COUNT: 0.8}, "next") == (found.start, found.name)


def test_a_logarithmic_range_is_widened_in_its_logarithm() -> None:
    space = over(RATE, {"kind": "log", "low": 1e-6, "high": 1.0})
    best = [1e-4, 1e-3, 1e-3, 1e-2]

    low, high = bounds(shrink(space, ended(RATE, [*best, *[0.5] * 12]), "next"), RATE)

    assert pytest.approx(math.log10(low), abs=0.01) == -4.3
    assert pytest.approx(math.log10(high), abs=0.01) == -1.7


def test_whole_numbers_stay_on_their_steps_and_a_choice_keeps_the_options_that_win() -> None:
    steps = over("network.depth", {"kind": "int", "low": 1, "high": 9, "step": 2})
    width = over("network.width", {"kind": "choice", "options": [8, 16, 32, 64]})
    best = [64, *[16] * 5, *[8] * 2]

    depths = shrink(steps, ended("network.depth", [5, 5, 5, 5, *[9] * 8]), "next")
    widths = shrink(width, ended("network.width", [*best, *[32] * 24]), "next")

    assert (3, 7) == bounds(depths, "network.depth")
    # Of eight wins each of four options is due two: one is enough, and the best one's own stays.
    assert [8, 16, 64] == widths.vary["network.width"].ends()


def test_a_field_with_one_option_left_is_fixed_and_one_that_asked_for_others_left_out() -> None:
    space = learning()
    rows = [
        Ended({RATE: 1e-3 * (1 + place), "count.kind": "ordinal"}, float(place))
        for place in range(4)
    ]
    lost = Ended({RATE: 1e-4, "count.kind": "softmax", "count.smoothing": 0.1}, 9.0)

    found = shrink(space, [*rows, *[lost] * 8], "next")

    assert "ordinal" == found.fixed["count.kind"]
    assert "count.kind" not in found.vary
    assert "count.smoothing" not in found.vary
    assert () == check_space(found).problems


def test_a_condition_on_a_fixed_field_still_holds() -> None:
    rows = [
        Ended({"count.kind": "softmax", "count.smoothing": 0.05 * place}, float(place))
        for place in range(1, 5)
    ]
    lost = Ended({"count.kind": "ordinal"}, 9.0)

    found = shrink(learning(), [*rows, *[lost] * 8], "next")

    assert "softmax" == found.fixed["count.kind"]
    assert "count.smoothing" in found.vary
    assert 0.05 == found.trial_zero().config.count.smoothing


def test_pruned_trials_rank_below_complete_ones() -> None:
    space = over(COUNT, {"kind": "uniform", "low": 0.0, "high": 2.0})
    complete = ended(COUNT, [1.0, 1.0, 1.0, 1.0, 1.4, 0.0])
    pruned = [Ended({COUNT: 2.0}, None)] * 14

    found = shrink(space, [*pruned, *complete], "next")

    # A quarter of twenty, not of six.
    assert pytest.approx((0.9, 1.5)) == bounds(found, COUNT)


def test_a_field_under_an_open_condition_is_not_fixed() -> None:
    vary = {
        "count.kind": {"kind": "choice", "options": ["ordinal", "softmax"]},
        "network.depth": {
            "kind": "choice",
            "options": [1, 2],
            "when": {"count.kind": "softmax"},
        },
    }
    space = planted(vary, base="smoke")
    best = [
        Ended({"count.kind": "ordinal"}, 1.0),
        *[Ended({"count.kind": "softmax", "network.depth": 2}, 2.0)] * 3,
    ]
    lost = [Ended({"count.kind": "softmax", "network.depth": 1}, 9.0)] * 8

    found = shrink(space, [*best, *lost], "next")

    # Fixed, a depth of two would hold for ordinal counts as well.
    assert (space.vary, {}) == (found.vary, found.fixed)


def test_too_few_trials_or_trials_that_all_agree_are_refused() -> None:
    space = learning()
    cases: list[tuple[Sequence[float | None], str]] = [
        ([1.0] * 7, "7 trials have ended, 7 of them complete; shrinking takes 8 and 4"),
        ([1.0] * 3 + [None] * 9, "12 trials have ended, 3 of them complete"),
    ]

    for scores, message in cases:
        with pytest.raises(SpaceInvalid, match=message):
            shrink(space, searched(space, scores), "next")
    width = over("network.width", {"kind": "choice", "options": [8, 16]})
    with pytest.raises(SpaceInvalid, match="agree in all that varies"):
        shrink(width, ended("network.width", [8] * 8), "next")


@given(st.integers(), st.lists(st.none() | st.floats(-1.0, 10.0), min_size=24, max_size=40))
def test_a_narrower_space_is_sound_smaller_and_starts_with_the_best(
    seed: int, scores: list[float | None]
) -> None:
    space = learning()
    rows = searched(space, [*scores, 1.0, 2.0, 3.0, 4.0], seed)
    best = min((each for each in rows if each.score is not None), key=lambda each: each.score or 0)

    found = shrink(space, rows, "next")

    assert () == check_space(found, draws=40).problems
    zero = found.trial_zero().config.flat()
    assert dict(best.values) == {path: zero[path] for path in best.values}
    for path, dimension in found.vary.items():
        assert all(space.vary[path].holds(end) for end in dimension.ends())


def test_a_space_reads_as_it_was_written(tmp_path: Path) -> None:
    odd = [None, "null", "a b", 4, True, [1.5, 2], {"deep": "x"}, "dft"]
    space = {
        "name": "odd",
        "about": "all that a file may hold.",
        "trials": 5,
        "base": "smoke",
        "fixed": {"data.seed": 3, "training.ema_decay": None},
        "start": {RATE: 1e-05},
        "vary": {
            **LEARNING,
            RATE: {"kind": "log", "low": 1e-07, "high": 2.5e-3},
            "physics.codebook": {"kind": "choice", "options": odd},
        },
        "forbid": [{"count.kind": ["softmax", "slots"], "network.depth": 7}],
        "sampler": {"kind": "optuna", "name": "QMCSampler", "options": {"scramble": True}},
        "pruner": {"kind": "patient", "pruner": {"kind": "asha", "warmup": 4}},
    }
    stages = {"first": {COUNT: LEARNING[COUNT]}, "second": {RATE: LEARNING[RATE]}}
    staged = {"name": "staged", "trials": 5, "stages": stages, "keep": {"k_loc": 0.2}}

    for written in map(SearchSpace.model_validate, (space, staged)):
        path = tmp_path / f"{written.name}.yaml"
        path.write_text(space_text(written), encoding="utf-8")
        assert written == load_space(str(path))
