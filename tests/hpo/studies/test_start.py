"""The start of a study: its points, their fit into a space, and the options behind them."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import optuna
import pytest
from pydantic import JsonValue

from risexp.errors import ConfigInvalid, InvalidInput, SpaceInvalid
from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.start import (
    FittingPoints,
    StartPoint,
    StudyStart,
    base_point,
    best_first,
    budget_note,
    by_slot,
    fitted,
    fitting,
)
from risexp.hpo.studies.study import SLOT, SPEC, TrialWord, find_study
from risexp.hpo.studies.table import StudyTable, TrialRow
from risexp.space.study_spec import StudySpec
from tests.support.searches import LR, RATE
from tests.support.spaces import CODEBOOK, learning, only_when, planted, spec_of
from tests.support.toy_workers import TOY_SPEC, searched, toy, trials, work

ASKED: Mapping[str, JsonValue] = {"--from": "wide", "--points": 2}
BASE = base_point(TOY_SPEC)
OTHERS = (
    StartPoint({**BASE.values, "network.depth": 5}, "wide", 7, 1.5),
    StartPoint({**BASE.values, "loss.count": 0.5}, "wide", 3, 2.5),
)


def with_points() -> StudyStart:
    return StudyStart.new(TOY_SPEC, (BASE, *OTHERS), ASKED)


def row(number: int, value: float | None, values: Mapping[str, JsonValue]) -> TrialRow:
    state: TrialWord = "pruned" if value is None else "complete"
    return TrialRow(number, state, None, 1, 3, 9.0, 1.0, value, values, None)


def rate(number: int, value: float | None, lr: float) -> TrialRow:
    return row(number, value, {LR: lr})


def simple(**more: Any) -> StudySpec:  # noqa: ANN401 - the parts of a space's file
    return spec_of(planted(RATE, base="smoke", **more))


def wide() -> StudySpec:
    """The spec of more learning rates, in which the trials of `rate` were made."""
    return spec_of(planted({LR: {"kind": "log", "low": 1e-5, "high": 1.0}}, base="smoke"))


def fit(
    spec: StudySpec,
    source: StudySpec,
    *rows: TrialRow,
    most: int = 5,
    known: tuple[StartPoint, ...] = (),
) -> FittingPoints:
    return fitting(spec, source, StudyTable("wide", len(rows), None, rows), most, known)


def test_the_start_of_a_study_is_read_from_its_facts(store: StudyStore) -> None:
    with_points().open(store, "toy", 2)
    assert with_points() == StudyStart.of(find_study(store, "toy"))
    assert StudyStart.new(TOY_SPEC) == StudyStart.of(searched(store, 2, name="alone"))
    one = StudyStart.new(TOY_SPEC).open(store, "one")
    assert ({SPEC: TOY_SPEC.as_json()}, 1) == (one.facts, one.trials)
    odd = StartPoint({LR: 0.1 + 0.2, "training.ema_decay": None}, "wide", 7, 1.5)
    assert odd == StartPoint(**asdict(odd))


def test_points_fill_a_budget_that_grows_and_the_rest_is_drawn(store: StudyStore) -> None:
    first, train = with_points().open(store, "toy", 1), toy()
    work(store, first, train)
    start = StudyStart.of(find_study(store, "toy"))

    study = start.open(store, "toy")
    start.open(store, "toy", 4)
    work(store, study, train)

    points = [BASE.values, *(point.values for point in OTHERS)]
    assert points == [job.values for job in train.jobs[:3]]
    assert train.jobs[3].values not in points
    assert [1, 5, 1] == [trial.parameters["network.depth"] for trial in trials(store, study)[:3]]
    assert 0.5 == trials(store, study)[2].parameters["loss.count"]


def test_a_point_outside_the_space_is_refused() -> None:
    cases: list[tuple[Mapping[str, JsonValue], str]] = [
        ({"network.depth": 8}, r"trial 1 cannot be tried: network\.depth = 8 lies outside"),
        ({"count.kind": "softmax"}, r"other fields than it has: count\.smoothing"),
    ]
    for values, message in cases:
        point = StartPoint({**BASE.values, **values})

        with pytest.raises(SpaceInvalid, match=message):
            StudyStart.new(TOY_SPEC, (BASE, point), ASKED)


def test_a_study_does_not_go_on_with_other_options() -> None:
    with_points().check_asked("toy", {**ASKED, "--top": None}, "--study")

    cases: list[tuple[Mapping[str, JsonValue], str]] = [
        ({}, r"--from wide \(given: -\), --points 2 \(given: -\): give --study another name"),
        ({"--from": "wide", "--points": 3}, r"begun with --points 2 \(given: 3\)"),
    ]
    for asked, message in cases:
        with pytest.raises(InvalidInput, match=message):
            with_points().check_asked("toy", asked, "--study")


def test_the_trial_of_a_point_is_found_by_its_slot(store: StudyStore) -> None:
    study = with_points().open(store, "toy", 1)
    handle = optuna.load_study(study_name="toy", storage=store.storage)
    for slot in (2, 1, 2):
        handle.enqueue_trial({}, user_attrs={SLOT: slot})
    study = with_points().open(store, "toy", 3)

    assert {0: 0, 1: 2, 2: 1} == {
        slot: trial.number for slot, trial in by_slot(store, study).items()
    }


def test_the_best_complete_trials_come_first() -> None:
    rows = [row(number, value, {}) for number, value in enumerate([3.0, None, 1.0, 3.0, 2.0])]

    assert [2, 4, 0, 3] == [each.number for each in best_first(rows)]


def test_as_many_points_as_asked_are_taken_and_those_that_do_not_fit_replaced() -> None:
    rows = [rate(1, 3.0, 1e-3), rate(2, 1.0, 2e-3), rate(3, 2.0, 0.5), rate(4, None, 5e-3)]

    points = fit(simple(), wide(), *rows, most=2)

    assert (
        StartPoint({LR: 2e-3}, "wide", 2, 1.0),
        StartPoint({LR: 1e-3}, "wide", 1, 3.0),
    ) == points.points
    assert [
        "points from study wide: trials 2, 1, the best first",
        f"trial 3 of wide is left out: {LR} = 0.5 lies outside [0.0001, 0.01]",
    ] == points.sentences()


def test_neither_the_base_nor_a_point_is_taken_twice() -> None:
    base = base_point(simple())
    zero = float(str(base.values[LR]))
    rows = [rate(0, 1.0, zero), rate(1, 2.0, 1e-3), rate(2, 3.0, 1e-3), rate(3, 4.0, 2e-3)]

    points = fit(simple(), wide(), *rows, known=(base,))

    assert [1, 3] == [point.trial for point in points.points]
    assert [0, 2] == [number for number, _ in points.rejected]


def test_a_few_rejected_trials_and_changed_fields_are_named_and_the_rest_counted() -> None:
    rows = [rate(number, float(number), 0.5) for number in range(1, 6)]
    first, *reasons, rest = fit(simple(), wide(), *rows).sentences()
    assert "points from study wide: trials none, the best first" == first
    assert (3, "and 2 more of its trials") == (len(reasons), rest)

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
    other = StudySpec.of(planted(RATE, base="smoke", fixed=fixed))
    points = fit(simple(), other, rate(7, 1.0, 2e-3))
    assert sorted(fixed) == points.changed
    assert points.sentences()[-1].endswith(f"trial 0: {', '.join(sorted(fixed)[:6])} and 2 more")


def test_fields_that_the_other_study_fixed_or_was_given_are_part_of_its_trials() -> None:
    fixed = {"network.depth": 5, "training.ema_decay": 0.9, "loss.cov": 0.4}
    other = StudySpec.of(planted(RATE, base="smoke", fixed=fixed), overrides=["loss.count=1.5"])

    points = fit(spec_of(), other, rate(7, 1.0, 2e-3))

    (point,) = points.points
    changed = {LR: 2e-3, "network.depth": 5, "training.ema_decay": 0.9, "loss.count": 1.5}
    assert {**spec_of().base_values(), **changed} == point.values
    assert ["loss.cov"] == points.changed
    assert points.sentences()[-1].endswith("is as in trial 0: loss.cov")


def test_a_budget_without_room_for_all_points_is_noted() -> None:
    assert (None, None) == (budget_note(1, 1), budget_note(3, 4))
    assert "trial 0 and the points fill all 3 trials" in str(budget_note(3, 3))
    assert "2 of the points are tried only with --trials 6" == budget_note(6, 4)


def test_conditions_decide_which_fields_a_point_has() -> None:
    values: dict[str, JsonValue] = {"count.kind": "ordinal", "count.smoothing": 0.1}
    assert "count.smoothing" not in fitted(spec_of(), values)

    uniform = {"kind": "uniform", "low": 0.0, "high": 1.0}
    vary = {
        "physics.codebook": CODEBOOK,
        "loss.cov": only_when(uniform, physics__codebook="random"),
    }
    spec = spec_of(planted(vary, base="smoke", fixed={"loss.cov": 0.3}))
    assert {"physics.codebook": "random", "loss.cov": 0.3} == fitted(
        spec, {"physics.codebook": "random"}
    )


def test_values_outside_a_space_or_invalid_as_a_run_are_no_point_of_it() -> None:
    spec = spec_of(learning(forbid=[{"network.depth": 7, "training.ema_decay": None}]))
    cases: list[tuple[Mapping[str, JsonValue], str]] = [
        ({"network.depth": 2}, r"network\.depth = 2 lies outside \[1, 7\]"),
        ({"network.depth": 3.0}, "lies outside"),
        ({"count.kind": "slots"}, r"count\.kind = 'slots' lies outside \['ordinal', 'softmax'\]"),
        ({"network.depth": 7, "training.ema_decay": None}, "forbids its combination"),
    ]
    for values, message in cases:
        with pytest.raises(SpaceInvalid, match=message):
            fitted(spec, values)

    vary = {"training.epochs": {"kind": "int", "low": 2, "high": 9}}
    spec = spec_of(planted(vary, base="smoke", fixed={"curriculum.phase": "three-phase"}, trials=2))
    assert {"training.epochs": 9} == fitted(spec, {"training.epochs": 9})
    with pytest.raises(ConfigInvalid, match="three"):
        fitted(spec, {"training.epochs": 2})
