"""The run of a study is written once, above those of its trials, and read back with them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient

from risexp.runs.folder import RunFolder
from risexp.runs.spec import Labels, Parent
from risexp.tracking import client as mlflow
from risexp.tracking.client import TrackingClient
from risexp.tracking.stores import Failure, TrackingStore, embedded, in_environment, store_named
from risexp.tracking.study_run import (
    StudyRunUpdate,
    TrialRun,
    status_of,
    study_rows,
    study_runs,
    update_study_run,
)
from tests.support.uploads import due, finished, held, place, run_ids, sent, served, stored

pytestmark = pytest.mark.usefixtures("own_home")


def test_a_trial_is_a_child_of_its_study_with_what_was_searched(
    store: TrackingStore, runs: TrackingClient
) -> None:
    parent = Parent("wide", "wide@1700000000000", 1_700_000_000_000)
    searched = {"training.optimizer.lr": 0.02, "count.kind": "ordinal"}
    trials = [
        finished(
            f"wide-00{number}",
            labels=Labels(
                study="wide",
                trial=number,
                parent=parent,
                searched=searched,
                tags={"risexp.space_sha": "abc"},
                note="[trial](http://127.0.0.1:8080/dashboard)",
            ),
        )
        for number in (1, 2)
    ]

    for folder in trials:
        sent(folder, store, runs)

    first, second = (stored(folder, store) for folder in trials)
    assert first.data.tags["mlflow.parentRunId"] == second.data.tags["mlflow.parentRunId"]
    above = MlflowClient(store.uri).get_run(first.data.tags["mlflow.parentRunId"])
    assert ("wide", 1_700_000_000_000) == (above.info.run_name, above.info.start_time)
    assert ("wide", "1", "trial", "abc") == tuple(
        first.data.tags[f"risexp.{name}"] for name in ("study", "trial", "kind", "space_sha")
    )
    expected = {"training.optimizer.lr": "0.02", "count.kind": "ordinal", "trial": "1"}
    assert expected == first.data.params
    assert first.data.tags["mlflow.note.content"].startswith("[trial](http")


def test_a_study_has_one_run_before_and_after_its_trials(
    store: TrackingStore, runs: TrackingClient, own_home: Path
) -> None:
    parent = Parent("narrow", "narrow@1", 1_000)
    folder = own_home / "mlruns" / "runs"
    folder.mkdir(parents=True)
    begun = update_study_run(store, folder, parent, StudyRunUpdate(params={"trials": "24"}))
    trial = finished("narrow-001", labels=Labels(study="narrow", trial=1, parent=parent))
    sent(trial, store, runs)
    last = StudyRunUpdate("KILLED", 9_000, tags={"risexp.reason": "stopped"}, files={"a.txt": b"a"})

    ended = update_study_run(store, folder, parent, last)

    assert not isinstance(begun, Failure)
    assert begun == ended == stored(trial, store).data.tags["mlflow.parentRunId"]
    above = MlflowClient(store.uri).get_run(begun)
    assert ("KILLED", 9_000) == (above.info.status, above.info.end_time)
    assert ("stopped", "24") == (above.data.tags["risexp.reason"], above.data.params["trials"])


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


def values(run: TrialRun) -> list[tuple[str, int, int, float]]:
    return sorted((each.key, each.step, each.time, each.value) for each in run.points)


def test_all_runs_and_points_of_a_study_are_read_over_several_pages(
    own_store: TrackingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mlflow, "_PAGE", 1)
    folders = trials(own_store, (0, 2, 5))

    found = study_rows(TrackingClient(own_store), "toy", "one")

    assert ["RUNNING"] == [*found.parents.values()]
    assert [0, 2, 5] == [each.number for each in found.trials]
    assert ["FINISHED"] * 3 == [each.status for each in found.trials]
    for folder, run in zip(folders, found.trials, strict=True):
        assert [run.run_id] == run_ids(folder, own_store)
        assert due(folder) == values(run)
        assert {1} == {*run.rows.values()}


def test_a_duplicate_point_is_counted_twice(own_store: TrackingStore) -> None:
    (folder,) = trials(own_store, (0,))
    key, step, time, value = due(folder)[0]
    (run_id,) = run_ids(folder, own_store)
    MlflowClient(own_store.uri).log_metric(run_id, key, value, time + 1, step)

    (run,) = study_rows(TrackingClient(own_store), "toy", "one").trials

    assert held(folder, own_store) == values(run)
    assert [(key, step)] == [place for place, rows in run.rows.items() if rows == 2]


def test_another_study_of_the_same_name_is_left_out(own_store: TrackingStore) -> None:
    trials(own_store, (0,))
    trials(own_store, (0, 1), uid="two")

    missing = study_runs(TrackingClient(own_store), "other", "one")
    found = [study_runs(TrackingClient(own_store), "toy", uid) for uid in ("one", "two", "three")]

    assert [1, 1, 0] == [len(each.parents) for each in found]
    assert [[0], [0, 1], []] == [[run.number for run in each.trials] for each in found]
    assert {()} == {run.points for each in found for run in each.trials}
    assert ({}, ()) == (missing.parents, missing.trials)


def test_a_server_gives_the_same_points(own_store: TrackingStore, tmp_path: Path) -> None:
    (folder,) = trials(own_store, (0,))
    with served(own_store, tmp_path / "served") as port:
        store = store_named(f"http://127.0.0.1:{port}")
        with in_environment(store):
            (run,) = study_rows(TrackingClient(store), "toy", "one").trials

    assert due(folder) == values(run)


def test_the_status_of_a_run_is_that_of_its_id(own_store: TrackingStore) -> None:
    folder = finished("alone")
    sent(folder, own_store, TrackingClient(own_store))
    (run_id,) = run_ids(folder, own_store)

    assert "FINISHED" == status_of(TrackingClient(own_store), "alone", run_id)
    assert status_of(TrackingClient(own_store), "alone", "another") is None
