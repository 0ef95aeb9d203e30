"""What a study begins with is part of what it is."""

from collections.abc import Mapping

import optuna
import pytest
from pydantic import JsonValue

from risexp.errors import InvalidInput, SpaceInvalid
from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.facts import facts_from_spec
from risexp.hpo.studies.start import StudyStart, by_slot
from risexp.hpo.studies.start_points import StartPoint, base_point
from risexp.hpo.studies.study import SLOT, find_study, open_study
from risexp.hpo.studies.table import study_table
from tests.support.spaces import charter
from tests.support.toy_workers import CHARTER, searched, toy, trials, work

ASKED: Mapping[str, JsonValue] = {"--from": "wide", "--points": 2}
BASE = base_point(CHARTER)
OTHERS = (
    StartPoint({**BASE.values, "network.depth": 5}, "wide", 7, 1.5),
    StartPoint({**BASE.values, "loss.count": 0.5}, "wide", 3, 2.5),
)


def beginning() -> StudyStart:
    return StudyStart.new(CHARTER, (BASE, *OTHERS), ASKED)


def test_points_are_tried_in_their_slots_and_the_rest_is_drawn(store: StudyStore) -> None:
    study = open_study(store, beginning().plan("toy", 4))
    train = toy()

    work(store, study, train)

    assert [BASE.values, *(each.values for each in OTHERS)] == [
        job.values for job in train.jobs[:3]
    ]
    assert train.jobs[3].values not in [job.values for job in train.jobs[:3]]


def test_a_study_knows_what_it_began_with(store: StudyStore) -> None:
    open_study(store, beginning().plan("toy", 2))

    found = StudyStart.of(find_study(store, "toy"))

    assert beginning() == found


def test_a_search_without_points_of_others_begins_with_its_base(store: StudyStore) -> None:
    study = searched(store, 2)

    found = StudyStart.of(study)

    assert (facts_from_spec(CHARTER), (BASE,), {}) == (study.facts, found.points, found.asked)
    assert StudyStart.new(CHARTER, (BASE,), {}).plan("toy", 2) == found.plan("toy", 2)


def test_what_a_study_began_with_fills_the_budget_that_grows(store: StudyStore) -> None:
    first = open_study(store, beginning().plan("toy", 1))
    work(store, first, toy())
    known = StudyStart.of(find_study(store, "toy"))

    study = open_study(store, known.plan("toy", 3))
    open_study(store, known.plan("toy", 3))
    work(store, study, toy())

    assert [1, 5, 1] == [each.parameters["network.depth"] for each in trials(store, study)]
    assert 0.5 == trials(store, study)[2].parameters["loss.count"]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"network.depth": 8}, r"trial 1 cannot be tried: network\.depth = 8 lies outside"),
        ({"count.kind": "softmax"}, r"other fields than it has: count\.smoothing"),
        ({"loss.cov": 0.1}, r"other fields than it has: loss\.cov"),
    ],
)
def test_a_point_that_the_space_does_not_hold_is_refused(
    values: dict[str, float | str], said: str
) -> None:
    point = StartPoint({**BASE.values, **values})

    with pytest.raises(SpaceInvalid, match=said):
        StudyStart.new(CHARTER, (BASE, point), ASKED)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({}, r"--from wide \(given: -\), --points 2 \(given: -\): give --study another name"),
        ({"--from": "wide", "--points": 3}, r"begun with --points 2 \(given: 3\)"),
    ],
)
def test_a_study_does_not_go_on_with_other_options(asked: dict[str, str | int], said: str) -> None:
    beginning().expect_asked("toy", ASKED, "--study")

    with pytest.raises(InvalidInput, match=said):
        beginning().expect_asked("toy", dict(asked), "--study")


def test_a_base_outside_its_own_space_is_refused() -> None:
    given = charter()
    base = StartPoint({**base_point(given).values, "network.depth": 2})

    with pytest.raises(SpaceInvalid, match="trial 0 cannot be tried"):
        StudyStart.new(given, (base,), {})


def test_what_became_of_a_point_is_found_by_its_slot(store: StudyStore) -> None:
    study = open_study(store, beginning().plan("toy", 1))
    handle = optuna.load_study(study_name="toy", storage=store.storage)
    for slot in (2, 1, 2):
        handle.enqueue_trial({}, user_attrs={SLOT: slot})
    study = open_study(store, beginning().plan("toy", 3))

    found = by_slot(store, study, study_table(store, study, CHARTER.space))

    assert {0: 0, 1: 2, 2: 1} == {slot: row.number for slot, row in found.items()}
