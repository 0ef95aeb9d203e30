"""Which trials of one study are points of another, and what they are there."""

import random
from dataclasses import replace
from typing import Any

import pytest
from pydantic import JsonValue

from risexp.errors import ConfigInvalid, SpaceInvalid
from risexp.hpo.studies.start_points import (
    StartPoint,
    base_point,
    best_first,
    crowded,
    fitted,
    fitting,
)
from risexp.hpo.studies.table import TrialRow, TrialWord
from risexp.space.files import load_space
from risexp.space.shrink import Ended, shrink
from risexp.space.study_spec import StudySpec
from tests.support.spaces import CODEBOOK, charter, learning, only_when, planted

LR = "training.optimizer.lr"
RATE = {"kind": "log", "low": 1e-4, "high": 1e-2}


def row(number: int, value: float | None, **values: JsonValue) -> TrialRow:
    """A trial that had these values, dots of paths written `__`."""
    named = {path.replace("__", "."): each for path, each in values.items()}
    state: TrialWord = "pruned" if value is None else "complete"
    return TrialRow(number, state, None, 1, 3, 9.0, 1.0, value, named, None)


def rate(number: int, value: float | None, lr: float) -> TrialRow:
    return row(number, value, training__optimizer__lr=lr)


def simple(**more: Any) -> StudySpec:  # noqa: ANN401 - whatever a file may say
    return charter(planted({LR: RATE}, base="smoke", **more))


def wide() -> StudySpec:
    """Of a space of more learning rates, in which the trials of `rate` were made."""
    vary = {LR: {"kind": "log", "low": 1e-5, "high": 1.0}}
    return charter(planted(vary, base="smoke"))


def numbers(points: tuple[StartPoint, ...]) -> list[int]:
    return [each.trial for each in points]


def test_the_best_come_first_and_only_complete_ones_count() -> None:
    rows = [row(0, 3.0), row(1, None), row(2, 1.0), row(3, 3.0), row(4, 2.0)]

    assert [2, 4, 0, 3] == [each.number for each in best_first(rows)]


def test_as_many_as_are_wanted_are_taken_with_their_scores() -> None:
    given = simple()
    rows = [rate(1, 3.0, 1e-3), rate(2, 1.0, 2e-3), rate(3, 2.0, 4e-3), rate(4, None, 5e-3)]

    found = fitting(given, "wide", wide(), rows, 2, [base_point(given)])

    assert (
        StartPoint({LR: 2e-3}, "wide", 2, 1.0),
        StartPoint({LR: 4e-3}, "wide", 3, 2.0),
    ) == found.points
    assert ["points from study wide: trials 2, 3, the best first"] == found.sentences()


def test_worse_ones_take_the_places_of_those_that_do_not_fit() -> None:
    given = simple()
    rows = [rate(1, 1.0, 0.5), rate(2, 2.0, 1e-3), rate(3, 3.0, 2e-3)]

    found = fitting(given, "wide", wide(), rows, 2, [base_point(given)])

    assert [2, 3] == numbers(found.points)
    said = f"trial 1 of wide is left out: {LR} = 0.5 lies outside [0.0001, 0.01]"
    assert said in found.sentences()


def test_neither_the_base_nor_a_point_is_taken_twice() -> None:
    given = simple()
    base = base_point(given)
    zero = float(str(base.values[LR]))
    rows = [rate(0, 1.0, zero), rate(1, 2.0, 1e-3), rate(2, 3.0, 1e-3), rate(3, 4.0, 2e-3)]

    found = fitting(given, "wide", wide(), rows, 5, [base])

    assert [1, 3] == numbers(found.points)
    assert [0, 2] == [number for number, _ in found.left]


def test_of_many_that_do_not_fit_a_few_are_named_and_the_rest_counted() -> None:
    given = simple()
    rows = [rate(number, float(number), 0.5) for number in range(1, 6)]

    first, *reasons, rest = fitting(given, "wide", wide(), rows, 5, []).sentences()

    assert "points from study wide: trials none, the best first" == first
    assert (3, "and 2 more of its trials") == (len(reasons), rest)


def test_what_one_of_the_studies_does_not_vary_is_as_in_trial_0() -> None:
    given = charter()
    vary = {
        "network.depth": {"kind": "int", "low": 1, "high": 7},
        "loss.cov": {"kind": "uniform", "low": 0.0, "high": 1.0},
    }
    other = charter(planted(vary, base="smoke"))

    found = fitting(given, "other", other, [row(7, 1.0, network__depth=5, loss__cov=0.4)], 1, [])

    (point,) = found.points
    assert {**given.base_values(), "network.depth": 5} == point.values
    assert ("loss.cov",) == tuple(found.elsewhere)
    assert found.sentences()[-1].endswith("is as in trial 0: loss.cov")


def test_what_a_study_fixed_or_was_given_is_part_of_its_trials() -> None:
    given = charter()
    fixed = {"network.depth": 5, "training.ema_decay": 0.9, "loss.cov": 0.4}
    other = StudySpec.of(
        planted({LR: RATE}, base="smoke", fixed=fixed), overrides=["loss.count=1.5"]
    )

    found = fitting(given, "other", other, [rate(7, 1.0, 2e-3)], 1, [])

    (point,) = found.points
    changed = {LR: 2e-3, "network.depth": 5, "training.ema_decay": 0.9, "loss.count": 1.5}
    assert {**given.base_values(), **changed} == point.values
    assert ["loss.cov"] == found.elsewhere


def test_of_many_fields_that_are_as_in_trial_0_a_few_are_named() -> None:
    given = simple()
    fixed = {
        "network.depth": 7,
        "network.width": 48,
        "network.dropout": 0.1,
        "loss.cov": 0.4,
        "loss.count": 1.5,
        "training.ema_decay": 0.9,
        "training.batch": 32,
        "training.epochs": 7,
    }
    other = StudySpec.of(planted({LR: RATE}, base="smoke", fixed=fixed))

    found = fitting(given, "other", other, [rate(7, 1.0, 2e-3)], 1, [])

    assert sorted(fixed) == found.elsewhere
    assert found.sentences()[-1].endswith(f"trial 0: {', '.join(sorted(fixed)[:6])} and 2 more")


def test_trials_of_a_shipped_space_fit_what_is_left_of_it_once_it_is_shrunk() -> None:
    space = load_space("wide")
    source, draws = charter(space), random.Random(3)  # noqa: S311 - no secret is drawn
    base = source.base
    rows = [
        replace(row(number, draws.random()), values=space.draw(base, draws))
        for number in range(space.trials)
    ]
    narrower = shrink(space, [Ended(each.values, each.value) for each in rows], "wide-2")
    given = charter(narrower)

    found = fitting(given, "wide", source, rows, 5, [base_point(given)])

    assert 2 <= len(found.points)
    best, *_ = best_first(rows)
    assert given.base_values() == best.values
    assert [] == found.elsewhere


@pytest.mark.parametrize(
    ("points", "trials", "said"),
    [
        (1, 1, None),
        (3, 4, None),
        (3, 3, "trial 0 and the points fill all 3 trials"),
        (6, 4, "2 of the points are tried only with --trials 6"),
    ],
)
def test_points_that_a_budget_has_no_place_for_are_said(
    points: int, trials: int, said: str | None
) -> None:
    found = crowded(points, trials)

    assert said == (found and found[: len(said or "")])


def test_a_value_without_its_condition_is_left_out() -> None:
    values: dict[str, JsonValue] = {"count.kind": "ordinal", "count.smoothing": 0.1}

    assert "count.smoothing" not in fitted(charter(), values)


def test_a_condition_that_holds_only_here_asks_for_the_bases_value() -> None:
    vary = {
        "physics.codebook": CODEBOOK,
        "loss.cov": only_when(
            {"kind": "uniform", "low": 0.0, "high": 1.0}, physics__codebook="random"
        ),
    }
    given = charter(planted(vary, base="smoke", fixed={"loss.cov": 0.3}))

    assert {"physics.codebook": "random", "loss.cov": 0.3} == fitted(
        given, {"physics.codebook": "random"}
    )


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"network.depth": 2}, r"network\.depth = 2 lies outside \[1, 7\]"),
        ({"network.depth": 3.0}, "lies outside"),
        ({"count.kind": "slots"}, r"count\.kind = 'slots' lies outside \['ordinal', 'softmax'\]"),
        ({"network.depth": 7, "training.ema_decay": None}, "forbids its combination"),
    ],
)
def test_what_lies_outside_a_space_is_no_point_of_it(
    values: dict[str, JsonValue], said: str
) -> None:
    given = charter(learning(forbid=[{"network.depth": 7, "training.ema_decay": None}]))

    with pytest.raises(SpaceInvalid, match=said):
        fitted(given, values)


def test_what_is_no_run_is_no_point() -> None:
    vary = {"training.epochs": {"kind": "int", "low": 2, "high": 9}}
    given = charter(
        planted(vary, base="smoke", fixed={"curriculum.phase": "three-phase"}, trials=2)
    )

    assert {"training.epochs": 9} == fitted(given, {"training.epochs": 9})
    with pytest.raises(ConfigInvalid, match="three"):
        fitted(given, {"training.epochs": 2})


def test_a_point_is_the_same_after_it_was_written_down() -> None:
    point = StartPoint({LR: 0.1 + 0.2, "training.ema_decay": None}, "wide", 7, 1.5)

    assert point == StartPoint.from_json(point.as_json())
