"""Confirmations of a search start once, go on, and compare."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from risexp.app.search.derived import ConfirmRequest, ConfirmResult, confirm
from risexp.errors import ConfigInvalid, InvalidInput, RisexpError
from risexp.hpo.store.address import embedded
from risexp.hpo.studies.study import SPEC, open_study
from risexp.space.study_spec import StudySpec
from tests.support.past_studies import database_with, delete_study, names_of_studies
from tests.support.searches import LR, past_rates, tiny
from tests.support.worker_pool import Employ, RecordingView, leave, study, train_by_rate
from tests.support.worker_processes import opened

SEED = "training.seed"
CONFIRM = ConfirmRequest(study="toy", name="sure", top=2, seeds=2, device="cpu", tracking="off")
RATES = {3e-3: 4.0, 1e-3: 2.0, 2e-3: 1.0, 4e-3: 3.0}
"""Learning rates and scores of the study `toy`, the base first."""
TRIED = [(rate, seed) for seed in (1, 2) for rate in (3e-3, 2e-3, 1e-3)]
"""The trials of its confirmation."""


def past_search() -> None:
    """`toy`, of two epochs a trial where the preset says three."""
    short = {**tiny().fixed, "training.epochs": 2}
    past_rates("toy", StudySpec.of(tiny(fixed=short)), RATES)


@pytest.fixture(scope="module")
def empty_database(empty_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return database_with(past_search, empty_database, tmp_path_factory.mktemp("home"))


@pytest.fixture(autouse=True)
def home(at_home: Path) -> Path:
    return at_home


def confirmed(request: ConfirmRequest = CONFIRM) -> tuple[ConfirmResult, list[str]]:
    view = RecordingView()
    return confirm(request, view), view.sentences


def tried(result: ConfirmResult) -> list[tuple[object, object]]:
    return [(row.values[LR], row.values[SEED]) for row in result.searched.table.trials]


def test_a_confirmation_trains_the_base_and_the_best_under_unused_seeds(pools: Employ) -> None:
    pools(train_by_rate)

    result, sentences = confirmed()

    assert TRIED == tried(result)
    assert ["complete"] * 6 == [row.state for row in result.searched.table.trials]
    assert [] == sentences
    with study("sure") as (_, ref):
        spec = ref.spec
    assert (3, 1, "none") == (result.epochs, spec.base.training.seed, spec.space.pruner.kind)
    assert 1 == spec.base.data.seed
    confirmation = result.confirmation
    assert [(1, 2, 2.0), (2, 1, 1.0), (0, 3, 4.0)] == [
        (point.trial, point.rank_before, point.before) for point in confirmation.candidates
    ]
    assert [1.15, 2.15, 3.15] == pytest.approx([point.mean for point in confirmation.candidates])
    best = confirmation.best
    assert best is not None
    assert best.difference is not None
    assert -2.0 == pytest.approx(best.difference.mean)
    assert (None, 2) == (confirmation.agreement, confirmation.pairs)
    document = result.as_json()
    assert "sure-002" == result.run_of(best) == document["best_run"]
    assert document == json.loads(json.dumps(document, allow_nan=False))


def test_a_confirmation_goes_on_with_its_points_when_the_search_is_gone(pools: Employ) -> None:
    employed = pools(train_by_rate, leave)
    first, _ = confirmed()
    assert 1 == first.searched.table.done
    delete_study("toy")

    result, sentences = confirmed()

    assert [[0], [1, 2, 3, 4, 5]] == [pool.trained for pool in employed]
    assert [1] * 6 == [row.attempts for row in result.searched.table.trials]
    assert TRIED == tried(result)
    before = {point.trial: point.before for point in result.confirmation.candidates}
    assert {0: 4.0, 1: 2.0, 2: 1.0} == before
    assert [] == sentences


def test_a_confirmation_does_not_go_on_with_other_options(pools: Employ) -> None:
    pools(leave)
    confirmed()
    changes: list[tuple[dict[str, Any], str]] = [
        ({"top": 3}, r"begun with --top 2 \(given: 3\): give --name another name"),
        ({"seeds": 3}, "--seeds 2"),
        ({"epochs": 5}, r"--epochs - \(given: 5\)"),
        ({"study": "toi"}, r"--study toy \(given: toi\)"),
        ({"name": "toy"}, "study toy was begun with --study -"),
    ]

    for change, message in changes:
        with pytest.raises(InvalidInput, match=message):
            confirmed(replace(CONFIRM, **change))


def test_a_confirmation_says_where_it_differs_from_what_was_asked(pools: Employ) -> None:
    pools(train_by_rate)
    held = StudySpec.of(tiny(forbid=[{"data.seed": 1, LR: 1e-3}]))
    past_rates("held", held, RATES)
    with opened(embedded()) as store:
        open_study(store, "held", 5, {SPEC: held.as_json()})

    result, sentences = confirmed(replace(CONFIRM, study="held", top=9))

    assert 4 == len(result.confirmation.candidates)
    assert [
        "study held is not over: 1 of its trials are not considered",
        "study held has 3 trials to confirm, not 9",
    ] == sentences[:2]
    assert sentences[2].startswith("data.seed is as in the search: space planted varies it, or ask")
    assert list(result.searched.said) == sentences


def test_what_cannot_be_confirmed_starts_no_study(pools: Employ) -> None:
    employed = pools()
    phases = {**tiny().fixed, "curriculum.phase": "three-phase"}
    past_rates("long", StudySpec.of(tiny(fixed=phases)), RATES)
    past_rates("new", StudySpec.of(tiny()), {3e-3: 1.0})
    cases: list[tuple[dict[str, Any], type[RisexpError], str]] = [
        ({"study": "toi"}, InvalidInput, "there is no study 'toi' in .*; did you mean toy"),
        ({"study": "new"}, InvalidInput, "study new has no complete trial beside its base"),
        ({"study": "long", "epochs": 2}, ConfigInvalid, "three"),
        ({"name": "a b"}, InvalidInput, "'a b' is no name of a study"),
        ({"device": "tpu"}, ConfigInvalid, "no device"),
    ]

    for change, kind, message in cases:
        with pytest.raises(kind, match=message):
            confirmed(replace(CONFIRM, **change))

    assert [] == employed
    assert ["toy", "long", "new"] == names_of_studies()
