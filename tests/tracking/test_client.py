"""What a store holds of a run is what its journal says: each value once, and how it ended."""

import json
import math
from pathlib import Path

import pytest
from mlflow import MlflowClient

from risexp.errors import EnvironmentFailed, TrainingAborted
from risexp.runs.journal import Journal
from risexp.runs.journal_format import read_journal
from risexp.runs.labels import Labels
from risexp.runs.outcome import Outcome, aborted, complete, failed, pruned, signalled
from risexp.tracking.client import TrackingClient
from risexp.tracking.stores import TrackingStore
from risexp.tracking.upload_state import INTERRUPTED, UploadState, link, recorded_as
from tests.support.uploads import (
    artifacts_of,
    due,
    finished,
    held,
    new_run,
    progress_of,
    run_ids,
    sent,
    stored,
    train,
)

pytestmark = pytest.mark.usefixtures("own_home")


def test_every_selected_value_is_there_once_with_the_journals_time(
    store: TrackingStore, runs: TrackingClient
) -> None:
    folder = finished("exact")

    told = sent(folder, store, runs)

    assert due(folder) == held(folder, store)
    assert len(due(folder)) == told.points
    client, (run_id,) = MlflowClient(store.uri), run_ids(folder, store)
    history = client.get_metric_history(run_id, "val/k_loc")
    rows = read_journal(folder.journal).rows
    assert [(row.step, row.time, row.values["val/k_loc"]) for row in rows] == [
        (each.step, each.timestamp, each.value) for each in history
    ]


def test_what_is_sent_already_is_not_sent_again(store: TrackingStore, runs: TrackingClient) -> None:
    folder = finished("again")
    sent(folder, store, runs)
    before = held(folder, store)

    told = sent(folder, store, runs)

    assert (0, 0) == (told.lines, told.points)
    assert before == held(folder, store)
    assert 0 == UploadState(folder.path).unsent()


def test_a_folder_that_forgot_how_far_it_was_finds_its_run_again(
    store: TrackingStore, runs: TrackingClient
) -> None:
    folder = finished("forgetful")
    first = sent(folder, store, runs)
    (folder.path / "mlflow.json").unlink()

    second = sent(folder, store, runs)

    assert first.run_id == second.run_id
    assert [first.run_id] == run_ids(folder, store)
    assert due(folder) == held(folder, store)


def test_a_run_of_the_same_name_in_another_home_is_another_run(
    store: TrackingStore, runs: TrackingClient, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = sent(finished("wide-007"), store, runs)
    monkeypatch.setenv("RISEXP_HOME", str(own_home / "other"))

    other = sent(finished("wide-007"), store, runs)

    assert one.run_id != other.run_id


def test_the_best_epoch_is_what_a_run_is_ranked_by(
    store: TrackingStore, runs: TrackingClient
) -> None:
    folder = finished("ranked")

    sent(folder, store, runs)

    latest = stored(folder, store).data.metrics
    assert (3.25, 2.0) == (latest["best/k_loc"], latest["best/epoch"])
    assert 3.5 == latest["val/k_loc"]


def test_what_is_no_finite_number_is_counted_and_named_never_sent(
    store: TrackingStore, runs: TrackingClient
) -> None:
    folder = new_run("nonfinite")
    train(folder)
    values = {"val/k_loc": math.inf, "val/range_rmse": math.nan, "beta": 0.5}
    Journal(folder.journal, folder.run_id).write(4, values)
    folder.close(complete("finished", 4))

    sent(folder, store, runs)

    run = stored(folder, store)
    last = {key: value for key, step, _, value in held(folder, store) if step == 4}
    assert {"beta": 0.5, "guard/nonfinite": 2.0} == last
    assert "epoch 4: val/k_loc = inf, val/range_rmse = nan" == run.data.tags["risexp.nonfinite"]


@pytest.mark.parametrize(
    ("outcome", "status", "reason"),
    [
        (complete("finished", 3), "FINISHED", "finished"),
        (complete("early-stop", 3), "FINISHED", "early-stop"),
        (pruned("others are better"), "KILLED", "pruned"),
        (aborted(TrainingAborted("no better than a guess", guard="chance")), "KILLED", "chance"),
        (failed(ZeroDivisionError("float division")), "FAILED", "ZeroDivisionError"),
        (signalled(15), "RUNNING", "interrupted"),
        (signalled(2), "RUNNING", "interrupted"),
    ],
)
def test_how_a_run_ended_is_its_status_and_its_reason(
    store: TrackingStore, runs: TrackingClient, outcome: Outcome, status: str, reason: str
) -> None:
    folder = finished(f"ended-{outcome.status}-{reason}", outcome)

    sent(folder, store, runs)

    run = stored(folder, store)
    assert (status, reason) == (run.info.status, run.data.tags["risexp.reason"])
    assert outcome.status == run.data.tags["risexp.state"]


def test_a_run_that_ended_ended_when_its_journal_did(
    store: TrackingStore, runs: TrackingClient
) -> None:
    folder = finished("times")

    sent(folder, store, runs)

    lines = read_journal(folder.journal).lines
    info = stored(folder, store).info
    assert (lines[0].time, lines[-1].time) == (info.start_time, info.end_time)


def test_a_run_that_was_killed_can_go_on_and_says_so(
    store: TrackingStore, runs: TrackingClient
) -> None:
    folder = new_run("killed")
    train(folder)

    sent(folder, store, runs)

    run = stored(folder, store)
    assert ("RUNNING", INTERRUPTED) == (run.info.status, run.data.tags["risexp.state"])
    assert 0 == UploadState(folder.path).unsent()


def test_a_run_that_is_trained_is_running(store: TrackingStore, runs: TrackingClient) -> None:
    folder = new_run("running")
    train(folder)

    sent(folder, store, runs, live=True)

    run = stored(folder, store)
    assert ("RUNNING", "running") == (run.info.status, run.data.tags["risexp.state"])


def test_a_resumed_run_goes_on_in_the_same_run_and_writes_no_step_twice(
    store: TrackingStore, runs: TrackingClient
) -> None:
    folder = new_run("resumed")
    train(folder, range(1, 3))
    folder.close(signalled(15))
    sent(folder, store, runs)
    train(folder, range(2, 4))
    sent(folder, store, runs, live=True)
    meanwhile = stored(folder, store)
    folder.close(complete("finished", 3))

    sent(folder, store, runs)

    run = stored(folder, store)
    assert due(folder) == held(folder, store)
    steps = [step for key, step, _, _ in held(folder, store) if key == "val/k_loc"]
    assert [1, 2, 3] == steps
    assert ("RUNNING", "running") == (meanwhile.info.status, meanwhile.data.tags["risexp.state"])
    assert ("FINISHED", "2") == (run.info.status, run.data.tags["risexp.attempt"])


def test_a_run_carries_its_configuration_its_code_and_its_data(
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


def test_an_experiment_says_what_its_runs_are_ranked_by(
    store: TrackingStore, runs: TrackingClient
) -> None:
    sent(finished("primary"), store, runs)

    found = MlflowClient(store.uri).get_experiment_by_name("risexp")

    assert found is not None
    assert "best/k_loc" == found.tags["mlflow.experiment.primaryMetric.name"]
    assert "False" == found.tags["mlflow.experiment.primaryMetric.greaterIsBetter"]
    assert "smaller is better" in found.tags["mlflow.note.content"]


def test_a_note_tells_how_it_went_beside_chance_and_references(
    store: TrackingStore, runs: TrackingClient
) -> None:
    folder = finished("told")

    sent(folder, store, runs)

    note = stored(folder, store).data.tags["mlflow.note.content"]
    assert "the run ended after epoch 3: finished" in note
    assert "Best epoch 2" in note
    assert "| K accuracy | 0.612 | 0.213 | 0.676 | 0.668 |" in note


def test_a_run_that_somebody_deleted_is_not_made_again(
    store: TrackingStore, runs: TrackingClient
) -> None:
    folder = new_run("deleted")
    train(folder)
    MlflowClient(store.uri).delete_run(sent(folder, store, runs, live=True).run_id)
    (folder.path / "mlflow.json").unlink()

    with pytest.raises(EnvironmentFailed, match="was deleted there: restore it with"):
        sent(folder, store, runs)

    assert [] == run_ids(folder, store)


def test_a_run_that_a_request_made_after_all_is_deleted_in_the_end(
    store: TrackingStore, runs: TrackingClient
) -> None:
    folder = new_run("twice")
    train(folder)
    told = sent(folder, store, runs, live=True)
    run, began = stored(folder, store), read_journal(folder.journal).lines[0].time
    late = runs.create(run.info.experiment_id, "twice", run.data.tags, began)
    folder.close(complete("finished", 3))

    sent(folder, store, runs)

    assert late != told.run_id
    assert [told.run_id] == run_ids(folder, store)


def test_a_run_of_which_nothing_is_written_is_nowhere(
    store: TrackingStore, runs: TrackingClient
) -> None:
    folder = new_run("silent")

    told = sent(folder, store, runs)

    assert "" == told.run_id
    assert [] == run_ids(folder, store)
    assert not (folder.path / "mlflow.json").exists()


def test_an_error_is_there_with_its_traceback_and_without_its_secrets(
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


def test_a_run_knows_its_own_id_in_the_store(store: TrackingStore, runs: TrackingClient) -> None:
    folder = finished("linked")

    told = sent(folder, store, runs)

    progress = progress_of(folder)
    assert (told.run_id, store.name) == (progress.run_id, progress.store)
    assert told.run_id == recorded_as(folder.path)
    page = f"#/experiments/{progress.experiment_id}/runs/{told.run_id}"
    assert f"http://host:5000/{page}" == link(folder.path, "http://host:5000/")
    assert link(new_run("unlinked").path, "http://host:5000") is None
