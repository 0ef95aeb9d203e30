"""A store holds of a run what its journal holds: each value once, and how the run ended."""

import json
from pathlib import Path

import pytest
from mlflow import MlflowClient

from risexp.errors import EnvironmentFailed
from risexp.runs.journal import read_journal
from risexp.runs.outcome import complete, failed
from risexp.runs.spec import Labels
from risexp.tracking.client import TrackingClient
from risexp.tracking.stores import TrackingStore
from risexp.tracking.upload_state import INTERRUPTED, UploadState, recorded_as
from tests.support.uploads import (
    artifacts_of,
    due,
    finished,
    held,
    new_run,
    run_ids,
    sent,
    stored,
    train,
)

pytestmark = pytest.mark.usefixtures("own_home")


def test_each_selected_value_is_stored_once_though_the_progress_is_lost(
    store: TrackingStore, runs: TrackingClient
) -> None:
    folder = finished("exact")

    first = sent(folder, store, runs)
    again = sent(folder, store, runs)
    unsent = UploadState(folder.path).unsent()
    (folder.path / "mlflow.json").unlink()
    forgetful = sent(folder, store, runs)

    assert due(folder) == held(folder, store)
    assert len(due(folder)) == first.points
    assert (0, 0, 0) == (again.lines, again.points, unsent)
    assert first.run_id == forgetful.run_id == recorded_as(folder.path)
    assert [first.run_id] == run_ids(folder, store)
    history = MlflowClient(store.uri).get_metric_history(first.run_id, "val/k_loc")
    rows = read_journal(folder.journal).rows
    assert [(row.step, row.time, row.values["val/k_loc"]) for row in rows] == [
        (each.step, each.timestamp, each.value) for each in history
    ]


def test_a_run_that_is_running_is_not_set_running_by_a_request_that_may_be_late(
    store: TrackingStore, runs: TrackingClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that hung may carry out such a request after that of the run's end."""
    statuses, update = list[str](), MlflowClient.update_run

    def counted(client: MlflowClient, run_id: str, status: str) -> None:
        statuses.append(status)
        update(client, run_id, status)

    monkeypatch.setattr(MlflowClient, "update_run", counted)
    folder = finished("once")

    sent(folder, store, runs)
    assert ("FINISHED", []) == (stored(folder, store).info.status, statuses)

    run_id = stored(folder, store).info.run_id
    runs.set_running(run_id)
    runs.set_running(run_id)
    assert ("RUNNING", ["RUNNING"]) == (stored(folder, store).info.status, statuses)


def test_a_run_of_the_same_name_in_another_home_is_another_run(
    store: TrackingStore, runs: TrackingClient, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = sent(finished("wide-007"), store, runs)
    monkeypatch.setenv("RISEXP_HOME", str(own_home / "other"))

    other = sent(finished("wide-007"), store, runs)

    assert one.run_id != other.run_id


def test_a_killed_run_is_interrupted_and_goes_on_in_the_same_run_with_no_step_twice(
    store: TrackingStore, runs: TrackingClient
) -> None:
    folder = new_run("killed")

    def uploaded(*, live: bool) -> tuple[str, str]:
        sent(folder, store, runs, live=live)
        run = stored(folder, store)
        return run.info.status, run.data.tags["risexp.state"]

    train(folder, range(1, 3))
    first = [uploaded(live=True), uploaded(live=False)]
    unsent = UploadState(folder.path).unsent()
    train(folder, range(2, 4))
    resumed = uploaded(live=True)
    # A request that timed out may have made a second run after all.
    run, began = stored(folder, store), read_journal(folder.journal).lines[0].time
    runs.create(run.info.experiment_id, "killed", run.data.tags, began)
    folder.close(complete("finished", 3))
    run_id = sent(folder, store, runs).run_id

    run = stored(folder, store)
    assert [run_id] == run_ids(folder, store)
    assert [("RUNNING", "running"), ("RUNNING", INTERRUPTED)] == first
    assert (0, ("RUNNING", "running")) == (unsent, resumed)
    assert due(folder) == held(folder, store)
    steps = [step for key, step, _, _ in held(folder, store) if key == "val/k_loc"]
    assert [1, 2, 3] == steps
    assert ("FINISHED", "2") == (run.info.status, run.data.tags["risexp.attempt"])


def test_a_run_carries_its_configuration_its_data_and_how_good_it_is(
    store: TrackingStore, runs: TrackingClient
) -> None:
    folder = finished("described", labels=Labels(preset="smoke"))

    sent(folder, store, runs)

    run = stored(folder, store)
    assert folder.config_sha == run.data.tags["risexp.config_sha"]
    assert folder.config().sha("physics", "data") == run.data.tags["risexp.data_digest"]
    assert "0.02" == run.data.params["training.optimizer.lr"]
    assert "physics.elements_h" not in run.data.params  # as in the preset
    assert run.inputs is not None
    datasets = {each.tags[0].value: each.dataset.digest for each in run.inputs.dataset_inputs}
    digest = run.data.tags["risexp.data_digest"][:32]
    assert {"training": digest, "validation": digest} == datasets
    assert {"config.json", "config.yaml", "plans.json", "environment.json", "outcome.json"} <= (
        artifacts_of(folder, store)
    )
    assert (3.25, 2.0) == (run.data.metrics["best/k_loc"], run.data.metrics["best/epoch"])
    assert 3.5 == run.data.metrics["val/k_loc"]
    note = run.data.tags["mlflow.note.content"]
    assert "the run ended after epoch 3: finished" in note
    assert "Best epoch 2" in note
    assert "| K accuracy | 0.612 | 0.213 | 0.676 | 0.668 |" in note
    experiment = MlflowClient(store.uri).get_experiment_by_name("risexp")
    assert experiment is not None
    assert "best/k_loc" == experiment.tags["mlflow.experiment.primaryMetric.name"]
    assert "False" == experiment.tags["mlflow.experiment.primaryMetric.greaterIsBetter"]
    assert "smaller is better" in experiment.tags["mlflow.note.content"]


def test_a_run_without_a_journal_or_a_deleted_one_is_not_created(
    store: TrackingStore, runs: TrackingClient
) -> None:
    folder = new_run("deleted")
    assert "" == sent(folder, store, runs).run_id
    assert not (folder.path / "mlflow.json").exists()
    train(folder)
    MlflowClient(store.uri).delete_run(sent(folder, store, runs, live=True).run_id)
    (folder.path / "mlflow.json").unlink()

    with pytest.raises(EnvironmentFailed, match="was deleted there: restore it with"):
        sent(folder, store, runs)

    assert [] == run_ids(folder, store)


def test_an_error_is_uploaded_with_its_traceback_and_without_its_secrets(
    store: TrackingStore, runs: TrackingClient
) -> None:
    error = OSError("postgresql://me:planted-secret-3@host/db is away")
    folder = finished("secretive", failed(error))

    run_id = sent(folder, store, runs).run_id

    path = Path(MlflowClient(store.uri).download_artifacts(run_id, "outcome.json"))
    told = json.loads(path.read_text("utf-8"))
    assert "OSError" in told["traceback"]
    assert "planted-secret" not in path.read_text("utf-8")
    assert "planted-secret" not in stored(folder, store).data.tags["mlflow.note.content"]


@pytest.mark.fault("F4")
def test_what_a_zombie_wrote_is_not_sent(store: TrackingStore, runs: TrackingClient) -> None:
    """Its process was stopped between the check of its lease and its write."""
    folder = new_run("zombie")
    train(folder, range(1, 3))
    zombie = folder.open_journal()
    train(folder, range(3, 4))
    before = due(folder)

    zombie.write(3, {"beta": 0.5})
    sent(folder, store, runs)
    zombie.write(4, {"beta": 0.5})
    sent(folder, store, runs)

    assert before == due(folder) == held(folder, store)
