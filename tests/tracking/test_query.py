"""What is read of a study is all that its store holds of it, and nothing of another one."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient

from risexp.runs.folder import RunFolder
from risexp.runs.labels import Labels, Parent
from risexp.tracking import client as mlflow
from risexp.tracking.client import TrackingClient
from risexp.tracking.query import TrialRun, status_of, study_rows, study_runs
from risexp.tracking.schema import tables_of
from risexp.tracking.stores import TrackingStore, embedded, in_environment, store_named
from tests.support.uploads import due, finished, held, place, run_ids, sent, served

pytestmark = pytest.mark.usefixtures("own_home")


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


def test_every_run_and_row_of_a_study_is_read_however_many_pages_they_take(
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


def test_a_row_that_is_there_twice_is_counted_twice(own_store: TrackingStore) -> None:
    (folder,) = trials(own_store, (0,))
    key, step, time, value = due(folder)[0]
    (run_id,) = run_ids(folder, own_store)
    MlflowClient(own_store.uri).log_metric(run_id, key, value, time + 1, step)

    (run,) = study_rows(TrackingClient(own_store), "toy", "one").trials

    assert held(folder, own_store) == values(run)
    assert [(key, step)] == [place for place, rows in run.rows.items() if rows == 2]


def test_without_rows_it_is_the_same_runs(own_store: TrackingStore) -> None:
    trials(own_store, (0, 1))

    found, rows = (
        read(TrackingClient(own_store), "toy", "one") for read in (study_runs, study_rows)
    )

    assert rows.parents == found.parents
    assert [each.run_id for each in rows.trials] == [each.run_id for each in found.trials]
    assert [(), ()] == [each.points for each in found.trials]


def test_another_study_of_the_same_name_is_left_out(own_store: TrackingStore) -> None:
    trials(own_store, (0,))
    trials(own_store, (0, 1), uid="two")

    found = [study_runs(TrackingClient(own_store), "toy", uid) for uid in ("one", "two", "three")]

    assert [1, 1, 0] == [len(each.parents) for each in found]
    assert [[0], [0, 1], []] == [[run.number for run in each.trials] for each in found]


def test_a_study_of_which_nothing_was_ever_recorded_has_no_runs(own_store: TrackingStore) -> None:
    found = study_runs(TrackingClient(own_store), "toy", "one")

    assert ({}, ()) == (found.parents, found.trials)


def test_a_server_tells_the_same(own_store: TrackingStore, tmp_path: Path) -> None:
    (folder,) = trials(own_store, (0,))
    with served(own_store, tmp_path / "served") as port:
        store = store_named(f"http://127.0.0.1:{port}")
        with in_environment(store):
            (run,) = study_rows(TrackingClient(store), "toy", "one").trials

    assert due(folder) == values(run)


def test_the_status_of_a_run_is_its_own(own_store: TrackingStore) -> None:
    folder = finished("alone")
    sent(folder, own_store, TrackingClient(own_store))
    (run_id,) = run_ids(folder, own_store)

    assert "FINISHED" == status_of(TrackingClient(own_store), "alone", run_id)
    assert status_of(TrackingClient(own_store), "alone", "another") is None


def test_a_store_is_asked_whether_it_is_made_without_being_made(tmp_path: Path) -> None:
    store = store_named(f"sqlite:///{tmp_path}/mlflow.db")

    assert "missing" == tables_of(store)
    assert [] == list(tmp_path.iterdir())
    (tmp_path / "mlflow.db").touch()
    assert "missing" == tables_of(store)
    assert "current" == tables_of(place(store))
    assert "current" == tables_of(store_named("http://127.0.0.1:9"))
