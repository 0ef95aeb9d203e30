"""A search with a crew in this process: how it goes on, and what it refuses."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from optuna.study import StudyDirection

from risexp.app.search.resources import worker_specs
from risexp.core.failpoint import Point
from risexp.diagnostics.report import Report
from risexp.errors import (
    ConfigInvalid,
    EnvironmentFailed,
    InvalidInput,
    RisexpError,
    VerificationFailed,
)
from risexp.hpo.store.address import embedded
from risexp.runs.folder import create_run
from risexp.training.curriculum import curriculum
from tests.support.searches import begun, tiny
from tests.support.worker_pool import WANTED, Employ, Hands, searched, states, study, train
from tests.support.worker_processes import exit_codes, opened, start

pytestmark = pytest.mark.usefixtures("at_home")


def test_a_search_ends_with_its_trials(hands: Employ) -> None:
    crews = hands()

    found, shown, _ = searched()

    assert 0 == found.exit_code
    assert [0, 1, 2] == crews[0].trained
    assert ["complete"] * 3 == states(found)
    assert (3.0, 1) == (found.table.lowest, found.table.best and found.table.best.number)
    assert [0, 1, 2, 3] == list(dict.fromkeys(each.done for each in shown))
    assert found.as_json() == json.loads(json.dumps(found.as_json(), allow_nan=False))
    assert 0 == found.unsent


def test_the_same_search_with_more_trials_does_those_that_are_missing(hands: Employ) -> None:
    crews = hands()
    searched()

    found, _, _ = searched(replace(WANTED, trials=5))

    assert [3, 4] == crews[1].trained
    assert [5.0, 3.0, 4.0, 2.0, 6.0] == [each.value for each in found.table.trials]
    assert [1] * 5 == [each.attempts for each in found.table.trials]


def test_fewer_trials_than_a_study_has_leave_it_as_it_is(hands: Employ) -> None:
    crews = hands()
    searched()

    found, _, _ = searched(replace(WANTED, trials=1))

    assert ([], 0) == (crews[1].trained, found.exit_code)
    assert 3 == found.table.wanted


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"epochs": 9}, "training.epochs = 3 (now 9)"),
        ({"overrides": ["training.batch=8"]}, "training.batch = 16 (now 8)"),
        ({"space": tiny(sampler={"kind": "random"})}, "sampler"),
    ],
)
def test_a_study_does_not_go_on_under_another_space(
    hands: Employ, change: dict[str, Any], said: str
) -> None:
    crews = hands()
    searched()

    with pytest.raises(InvalidInput, match="study toy was begun with ") as refused:
        searched(replace(WANTED, trials=5, **change))

    assert said in str(refused.value)
    assert 1 == len(crews)
    with study() as (_, found):
        assert 3 == found.trials


def test_a_pruner_that_was_never_asked_is_a_failure(hands: Employ) -> None:
    def told_twice(crew: Hands) -> None:
        crew.reports = (1, 2)
        train(crew)

    hands(told_twice)

    found, _, _ = searched()

    assert VerificationFailed.exit_code == found.exit_code
    assert "never asked" in str(found.pruner_fault)


def test_a_base_that_cannot_learn_begins_no_study(
    hands: Employ, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = Report("preflight", "fail", (), ("Raise training.optimizer.lr.", "Wait."))
    monkeypatch.setattr("risexp.app.search.search.cleared", lambda _: report)
    crews = hands()

    with pytest.raises(VerificationFailed, match=r"Raise training\.optimizer\.lr\. --unchecked"):
        searched(replace(WANTED, unchecked=False))

    assert [] == crews
    with pytest.raises(InvalidInput, match="there is no study"), study():
        pass


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        ({"study": "a b"}, InvalidInput, "'a b' is no name of a study"),
        ({"study": "../toy"}, InvalidInput, "is no name of a study"),
        ({"device": "tpu"}, ConfigInvalid, "no device"),
        ({"device": "cuda:7"}, EnvironmentFailed, "no device cuda:7"),
        ({"tracking": "nowhere"}, InvalidInput, "tracking"),
        ({"overrides": ["training.optimizer.lr=1"]}, ConfigInvalid, "varies"),
        ({"epochs": 2, "overrides": ["training.epochs=2"]}, ConfigInvalid, "keep one"),
    ],
)
def test_what_cannot_be_searched_is_refused_before_anything_is_made(
    hands: Employ,
    at_home: Path,
    change: dict[str, Any],
    kind: type[RisexpError],
    said: str,
) -> None:
    (at_home / "mlruns" / "optuna.db").unlink()
    crews = hands()

    with pytest.raises(kind) as refused:
        searched(replace(WANTED, **change))

    assert said in str(refused.value)
    assert ([], []) == (crews, list((at_home / "mlruns").iterdir()))


def test_runs_of_an_earlier_study_of_this_name_are_not_gone_on_with(hands: Employ) -> None:
    config = tiny().trial_zero().config
    create_run("toy-000", config, curriculum(config))
    crews = hands()

    with pytest.raises(InvalidInput, match="runs of an earlier study 'toy'"):
        searched()

    assert [] == crews


@pytest.mark.parametrize("point", ["study.created", "study.described", "study.slot"])
def test_a_study_whose_maker_died_goes_on_with_the_same_command(
    hands: Employ, point: Point
) -> None:
    crews = hands()
    assert [-9] == exit_codes(start(make, embedded(), crash=point))

    found, _, _ = searched()

    assert [0, 1, 2] == crews[0].trained
    assert ["complete"] * 3 == states(found)


def make(url: str) -> None:
    with opened(url) as store:
        begun(store, "toy", 3)


def test_a_study_of_somebody_else_is_refused(hands: Employ) -> None:
    with opened(embedded()) as store:
        theirs = store.storage.create_new_study([StudyDirection.MINIMIZE], "toy")
        store.storage.create_new_trial(theirs)
    crews = hands()

    with pytest.raises(InvalidInput, match="not made by risexp"):
        searched()

    assert [] == crews


def test_workers_are_told_what_they_work_on(at_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RISEXP_STORE", "postgresql://someone:secret@host/db")
    wanted = replace(WANTED, workers=3, gpus=("4", "7"), device="auto", threads=2)

    told = worker_specs("toy", wanted, "token")

    assert ["4", "7", "4"] == [each.environment["CUDA_VISIBLE_DEVICES"] for each in told]
    for index, each in enumerate(told):
        assert at_home / "mlruns" / "studies" / "toy" / f"worker-{index}.log" == each.log
        assert "worker --study toy --crew token --threads 2 --device cuda" == " ".join(each.command)
        assert "2" == each.environment["OMP_NUM_THREADS"]
        assert "off" == each.environment["RISEXP_TRACKING_URI"]
        assert "postgresql://someone:secret@host/db" == each.environment["RISEXP_STORE"]
        assert str(at_home) == each.environment["RISEXP_HOME"]


def test_workers_without_gpus_see_the_machine_as_it_is() -> None:
    (told,) = worker_specs("toy", WANTED, "token")

    assert "cpu" == told.command[-1]
    assert "CUDA_VISIBLE_DEVICES" not in told.environment
