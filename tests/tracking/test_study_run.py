"""The run of a study is written once, above those of its trials, and read back with them."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from mlflow import MlflowClient

from risexp.runs.folder import RunFolder
from risexp.runs.spec import Labels, Parent
from risexp.tracking import client as mlflow
from risexp.tracking.client import MetricPoint, TrackingClient
from risexp.tracking.stores import Failure, TrackingStore, embedded, store_named
from risexp.tracking.study_run import (
    StudyRunUpdate,
    TrialRun,
    status_of,
    study_rows,
    study_runs,
    update_study_run,
)
from tests.support.uploads import Value, due, finished, held, place, run_ids, sent, stored

pytestmark = pytest.mark.usefixtures("own_home")


def test_a_study_has_one_run_above_its_trials_from_its_start_to_its_end(
    store: TrackingStore, runs: TrackingClient, own_home: Path
) -> None:
    parent = Parent("wide", "wide@1700000000000", 1_700_000_000_000)
    (own_home / "mlruns" / "runs").mkdir(parents=True)
    update = partial(update_study_run, store, own_home / "mlruns" / "runs", parent)
    labels = Labels(
        study="wide",
        parent=parent,
        searched={"training.optimizer.lr": 0.02, "count.kind": "ordinal"},
        tags={"risexp.space_sha": "abc"},
        note="[trial](http://127.0.0.1:8080/dashboard)",
    )

    begun = update(StudyRunUpdate(params={"trials": "24"}))
    folders = [finished(f"wide-00{n}", labels=replace(labels, trial=n)) for n in (1, 2)]
    for folder in folders:
        sent(folder, store, runs)
    last = StudyRunUpdate("KILLED", 9_000, tags={"risexp.reason": "stopped"}, files={"a.txt": b"a"})
    ended = update(last)

    first, second = (stored(folder, store).data for folder in folders)
    assert not isinstance(begun, Failure)
    assert [begun] * 3 == [
        ended,
        first.tags["mlflow.parentRunId"],
        second.tags["mlflow.parentRunId"],
    ]
    above = MlflowClient(store.uri).get_run(begun)
    assert ("wide", 1_700_000_000_000) == (above.info.run_name, above.info.start_time)
    assert ("KILLED", 9_000) == (above.info.status, above.info.end_time)
    assert ("stopped", "24") == (above.data.tags["risexp.reason"], above.data.params["trials"])
    assert ("wide", "1", "trial", "abc") == tuple(
        first.tags[f"risexp.{name}"] for name in ("study", "trial", "kind", "space_sha")
    )
    expected = {"training.optimizer.lr": "0.02", "count.kind": "ordinal", "trial": "1"}
    assert expected == first.params
    assert first.tags["mlflow.note.content"].startswith("[trial](http")


def test_a_server_that_is_away_gives_a_failure_to_be_retried(own_home: Path) -> None:
    away = store_named("http://127.0.0.1:9")

    said = update_study_run(away, own_home, Parent("wide", "wide@1", 1), StudyRunUpdate())

    assert isinstance(said, Failure)
    assert "the store does not answer (connection refused)" == said.sentence


@pytest.fixture
def own_store() -> TrackingStore:
    """A store without a run."""
    return place(embedded())


def trials(
    store: TrackingStore, numbers: Sequence[int], study: str = "toy", uid: str = "one"
) -> list[RunFolder]:
    """Trials of a study, trained and sent."""
    labels = Labels(study=study, parent=Parent(study, uid, 1))
    folders = [
        finished(f"{uid}-{number:03d}", labels=replace(labels, trial=number)) for number in numbers
    ]
    for folder in folders:
        sent(folder, store, TrackingClient(store))
    return folders


def values(run: TrialRun) -> list[Value]:
    return sorted((each.key, each.step, each.time, each.value) for each in run.points)


def test_all_runs_and_points_of_a_study_are_read_over_several_pages(
    own_store: TrackingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mlflow, "_PAGE", 1)
    folders = trials(own_store, (2, 5))

    found = study_rows(TrackingClient(own_store), "toy", "one")

    assert ["RUNNING"] == [*found.parents.values()]
    assert [2, 5] == [each.number for each in found.trials]
    assert ["FINISHED"] * 2 == [each.status for each in found.trials]
    for folder, run in zip(folders, found.trials, strict=True):
        assert [run.run_id] == run_ids(folder, own_store)
        assert due(folder) == values(run)
        assert {1} == {*run.rows.values()}

    key, step, time, value = due(folders[0])[0]
    first = found.trials[0].run_id
    MlflowClient(own_store.uri).log_metric(first, key, value, time + 1, step)
    run, *_ = study_rows(TrackingClient(own_store), "toy", "one").trials
    assert held(folders[0], own_store) == values(run)
    assert [(key, step)] == [place for place, rows in run.rows.items() if rows == 2]
    assert "FINISHED" == status_of(TrackingClient(own_store), folders[0].run_id, first)
    assert status_of(TrackingClient(own_store), folders[0].run_id, "another") is None


def test_one_request_reads_a_metric_of_all_runs_and_no_point_is_left_off(
    own_store: TrackingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders, runs = trials(own_store, (2, 5)), TrackingClient(own_store)
    one_by_one = list[str]()

    def history(run_id: str, key: str) -> list[MetricPoint]:
        one_by_one.append(key)
        return TrackingClient.history(runs, run_id, key)

    monkeypatch.setattr(runs, "history", history)
    expected = [due(each) for each in folders]

    assert expected == [values(run) for run in study_rows(runs, "toy", "one").trials]
    assert [] == one_by_one

    monkeypatch.setattr(mlflow, "_POINTS", 3)
    assert expected == [values(run) for run in study_rows(runs, "toy", "one").trials]
    assert one_by_one

    monkeypatch.setattr(mlflow, "bulk_history", lambda *_: None)
    assert expected == [values(run) for run in study_rows(runs, "toy", "one").trials]


def test_another_study_of_the_same_name_is_left_out(own_store: TrackingStore) -> None:
    trials(own_store, (0,))
    trials(own_store, (1,), uid="two")

    missing = study_runs(TrackingClient(own_store), "other", "one")
    found = [study_runs(TrackingClient(own_store), "toy", uid) for uid in ("one", "two", "three")]

    assert [1, 1, 0] == [len(each.parents) for each in found]
    assert [[0], [1], []] == [[run.number for run in each.trials] for each in found]
    assert {()} == {run.points for each in found for run in each.trials}
    assert ({}, ()) == (missing.parents, missing.trials)
