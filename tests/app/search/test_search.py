"""A search with a pool in this process: its points, how it goes on, and what it refuses."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.study import StudyDirection

from risexp.app.search.supervisor import worker_specs
from risexp.diagnostics.report import Report
from risexp.errors import (
    ConfigInvalid,
    EnvironmentFailed,
    InvalidInput,
    RisexpError,
    VerificationFailed,
)
from risexp.hpo.store.address import embedded
from risexp.hpo.studies.study import study_names
from risexp.runs.folder import create_run
from risexp.space.spec import SearchSpace
from risexp.space.study_spec import StudySpec
from risexp.training.curriculum import curriculum
from tests.support.searches import BLINK, LR, past_rates, tiny
from tests.support.spaces import planted
from tests.support.worker_pool import REQUEST, Employ, FakePool, searched, states, study, train
from tests.support.worker_processes import opened

pytestmark = pytest.mark.usefixtures("at_home")

FROM = replace(REQUEST, sources=("wide",), points=2)
RATES = {3e-3: 1.5, 4e-3: 2.0, 2e-2: 1.0, 2e-3: 4.0, 5e-3: 3.0}
"""Learning rates and scores of `wide`, its base first; trial 2 lies outside the space `tiny`."""


@pytest.fixture
def wide(at_home: Path) -> None:
    """A study of five complete trials."""
    del at_home
    past_rates("wide", StudySpec.of(over(1e-4, 1e-1)), RATES)


def over(low: float, high: float, **more: object) -> SearchSpace:
    """`tiny` over other learning rates."""
    vary = {LR: {"kind": "log", "low": low, "high": high}}
    return planted(vary, base="smoke", fixed=dict(BLINK), pruner={"kind": "none"}, **more)


def rates(request: Any = FROM) -> list[object]:  # noqa: ANN401 - a request
    return [row.values[LR] for row in searched(request)[0].table.trials]


def test_a_search_ends_with_its_trials_and_goes_on_with_more(pools: Employ) -> None:
    employed = pools()

    result, view = searched()
    more, _ = searched(replace(REQUEST, trials=4))

    assert (0, 0) == (result.exit_code, result.unsent)
    assert [[0, 1, 2], [3]] == [pool.trained for pool in employed]
    assert ["complete"] * 3 == states(result)
    assert [5.0, 3.0, 4.0, 2.0] == [row.value for row in more.table.trials]
    assert (3.0, 1) == (result.table.lowest, result.table.best and result.table.best.number)
    assert [0, 1, 2, 3] == list(dict.fromkeys(table.done for table in view.tables))
    assert result.as_json() == json.loads(json.dumps(result.as_json(), allow_nan=False))


def test_a_finished_study_of_an_earlier_version_is_shown_in_any_home(pools: Employ) -> None:
    pools()
    searched()
    with study() as (store, ref):
        store.storage.set_study_user_attr(ref.id, "risexp.home", None)

    result, _ = searched()

    assert ["complete"] * 3 == states(result)
    with study() as (store, ref):
        assert None is store.storage.get_study_user_attrs(ref.id)["risexp.home"]


def test_optuna_says_nothing_of_its_own_in_a_search(
    pools: Employ, caplog: pytest.LogCaptureFixture
) -> None:
    pools()
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.INFO)
    try:
        searched()
    finally:
        optuna.logging.set_verbosity(before)

    assert [] == [record.message for record in caplog.records if record.name.startswith("optuna")]


def test_a_study_does_not_go_on_under_another_space(pools: Employ) -> None:
    employed = pools()
    searched()
    changes: list[tuple[dict[str, Any], str]] = [
        ({"epochs": 9}, r"training\.epochs = 3 \(now 9\)"),
        ({"overrides": ["training.batch=8"]}, r"training\.batch = 16 \(now 8\)"),
        ({"space": tiny(sampler={"kind": "random"})}, "sampler"),
    ]

    for change, message in changes:
        with pytest.raises(InvalidInput, match=f"study toy was begun with .*{message}"):
            searched(replace(REQUEST, trials=5, **change))

    assert 1 == len(employed)
    with study() as (_, ref):
        assert 3 == ref.trials


def test_a_pruner_that_was_never_asked_is_a_failure(pools: Employ) -> None:
    def report_twice(pool: FakePool) -> None:
        pool.reports = (1, 2)
        train(pool)

    pools(report_twice)

    result, _ = searched()

    assert VerificationFailed.exit_code == result.exit_code
    assert "never asked" in str(result.pruner_fault)


def test_a_base_that_cannot_learn_starts_no_study(
    pools: Employ, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = Report("preflight", "fail", (), ("Raise training.optimizer.lr.", "Wait."))
    monkeypatch.setattr("risexp.app.search.search.cleared", lambda _: report)
    employed = pools()

    with pytest.raises(VerificationFailed, match=r"Raise training\.optimizer\.lr\. --unchecked"):
        searched(replace(REQUEST, unchecked=False))

    assert [] == employed
    with pytest.raises(InvalidInput, match="there is no study"), study():
        pass


def test_an_impossible_search_is_refused_before_anything_is_made(
    pools: Employ, at_home: Path
) -> None:
    (at_home / "mlruns" / "optuna.db").unlink()
    employed = pools()
    cases: list[tuple[dict[str, Any], type[RisexpError], str]] = [
        ({"study": "a b"}, InvalidInput, "'a b' is no name of a study"),
        ({"device": "cuda:7"}, EnvironmentFailed, "no device cuda:7"),
        ({"tracking": "nowhere"}, InvalidInput, "tracking"),
        ({"overrides": ["training.optimizer.lr=1"]}, ConfigInvalid, "varies"),
        ({"epochs": 2, "overrides": ["training.epochs=2"]}, ConfigInvalid, "keep one"),
    ]

    for change, kind, message in cases:
        with pytest.raises(kind, match=message):
            searched(replace(REQUEST, **change))

    assert ([], []) == (employed, list((at_home / "mlruns").iterdir()))


def test_runs_and_studies_that_are_not_its_own_stop_a_search(pools: Employ) -> None:
    config = tiny().trial_zero().config
    create_run("toy-000", config, curriculum(config))
    employed = pools()

    with pytest.raises(InvalidInput, match="runs of an earlier study 'toy'"):
        searched()
    with opened(embedded()) as store:
        theirs = store.storage.create_new_study([StudyDirection.MINIMIZE], "toy")
        store.storage.create_new_trial(theirs)
    with pytest.raises(InvalidInput, match="not made by risexp"):
        searched()

    assert [] == employed


def test_workers_get_their_study_device_and_store(
    at_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RISEXP_STORE", "postgresql://someone:secret@host/db")
    request = replace(REQUEST, workers=3, gpus=("4", "7"), device="auto", threads=2)

    specs = worker_specs("toy", request, "token")

    assert ["4", "7", "4"] == [spec.environment["CUDA_VISIBLE_DEVICES"] for spec in specs]
    for index, spec in enumerate(specs):
        assert at_home / "mlruns" / "studies" / "toy" / f"worker-{index}.log" == spec.log
        assert "worker --study toy --crew token --threads 2 --device cuda" == " ".join(spec.command)
        assert "2" == spec.environment["OMP_NUM_THREADS"]
        assert "off" == spec.environment["RISEXP_TRACKING_URI"]
        assert "postgresql://someone:secret@host/db" == spec.environment["RISEXP_STORE"]
        assert str(at_home) == spec.environment["RISEXP_HOME"]
    (alone,) = worker_specs("toy", REQUEST, "token")
    assert "cpu" == alone.command[-1]
    assert "CUDA_VISIBLE_DEVICES" not in alone.environment


@pytest.mark.usefixtures("wide")
def test_the_best_trials_of_another_study_come_right_after_trial_0(pools: Employ) -> None:
    employed = pools()

    result, view = searched(FROM)

    assert [0, 1, 2] == employed[0].trained
    zero = tiny().trial_zero().config.training.optimizer.lr
    assert [zero, 4e-3, 5e-3] == [row.values[LR] for row in result.table.trials]
    assert "points from study wide: trials 1, 4, the best first" in view.sentences
    assert f"trial 2 of wide is left out: {LR} = 0.02 lies outside [0.0001, 0.01]" in view.sentences
    assert "trial 0 and the points fill all 3 trials: more are drawn only" in view.sentences[-1]


@pytest.mark.usefixtures("wide")
def test_points_of_several_studies_come_one_after_the_other_as_far_as_they_have_slots(
    pools: Employ,
) -> None:
    pools()
    past_rates("narrow", StudySpec.of(over(1e-4, 1e-1)), {3e-3: 2.0, 6e-3: 1.0})

    result, view = searched(replace(FROM, sources=("wide", "narrow"), points=1, trials=2))

    assert [4e-3] == [row.values[LR] for row in result.table.trials[1:]]
    assert "points from study narrow: trials 1, the best first" in view.sentences
    assert "1 of the points are tried only with --trials 3" in view.sentences
    assert [4e-3, 6e-3] == rates(replace(FROM, sources=("wide", "narrow"), points=1))[1:]


@pytest.mark.usefixtures("wide")
def test_a_search_goes_on_with_its_points_and_no_others_though_the_other_study_is_gone(
    pools: Employ,
) -> None:
    pools()
    searched(replace(FROM, trials=2))
    with pytest.raises(InvalidInput, match="study toy was begun with --"):
        searched(replace(FROM, points=3))
    with opened(embedded()) as store:
        optuna.delete_study(study_name="wide", storage=store.storage)

    result, view = searched(replace(FROM, trials=4))

    assert [4e-3, 5e-3] == [row.values[LR] for row in result.table.trials[1:3]]
    assert [1] * 4 == [row.attempts for row in result.table.trials]
    assert not [sentence for sentence in view.sentences if "wide" in sentence]


@pytest.mark.usefixtures("wide")
def test_a_search_without_points_of_its_source_starts_no_study(pools: Employ) -> None:
    employed = pools()
    space = over(9e-4, 1e-3, start={LR: 1e-3})

    for source, message in (
        ("wyde", "there is no study 'wyde' in .*; did you mean wide?"),
        ("wide", "--from wide: none of its complete trials can be a point.*: trial 2: .* outside"),
    ):
        with pytest.raises(InvalidInput, match=message):
            searched(replace(FROM, sources=(source,), space=space))

    assert [] == employed
    with opened(embedded()) as store:
        assert ["wide"] == study_names(store)
