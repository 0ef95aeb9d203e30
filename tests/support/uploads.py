"""Records as the tests of sending need them: run folders with a journal, and what a store holds."""

import json
import os
import sqlite3
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import Run
from torch import tensor
from werkzeug.serving import make_server

from risexp.callbacks.recorder import LastConfusions, Recorder
from risexp.config.run import RunConfig
from risexp.evaluation.scene_scores import Confusions as Found
from risexp.evaluation.scene_scores import confusion
from risexp.runs.folder import RunFolder, create_run
from risexp.runs.journal import read_journal
from risexp.runs.outcome import Outcome, complete
from risexp.runs.spec import Labels, write_labels
from risexp.tracking.client import TrackingClient
from risexp.tracking.sent_metrics import selected_keys, sent_values
from risexp.tracking.stores import TrackingStore, store_named
from risexp.tracking.upload_state import UploadProgress, UploadState
from risexp.tracking.uploader import Uploader, UploadResult
from risexp.training.curriculum import curriculum
from risexp.training.events import EpochEnded, Event
from risexp.training.progress import Progress as Trained
from tests.support.moody_server import Moods
from tests.support.recorded_runs import SCORES, Told, ended_of, followed
from tests.support.trainers import small_config

K_LOCS = (4.0, 3.25, 3.5)
"""The second of three epochs is the best."""
Value = tuple[str, int, int, float]
"""Key, step, time in ms, value."""


MAKE = """
import json, sys
from risexp.tracking.schema import prepare
from risexp.tracking.stores import store_named
sys.stdin.readline()
print(json.dumps(prepare(store_named("{uri}"))))
"""


@cache
def made_at_once() -> tuple[list[bool], bytes]:
    """What three processes say that make one store at once, and its file.

    To make it takes seconds, to copy it none: all tests of a session use this one.
    """
    home = Path(os.environ["TESTS_SHARED"]) / "tables"
    home.mkdir(exist_ok=True)
    with FileLock(home / "lock"):
        if not (home / "told.json").exists():
            (home / "told.json").write_text(
                json.dumps(together(MAKE.format(uri="embedded"), 3, home))
            )
    told: list[bool] = json.loads((home / "told.json").read_text())
    return told, (home / "mlruns" / "mlflow.db").read_bytes()


def together(program: str, processes: int, home: Path) -> list[object]:
    """What processes of one home say that are let go at the same moment."""
    begun = [
        subprocess.Popen(  # noqa: S603 - our own interpreter and program
            [sys.executable, "-c", program],
            env={**os.environ, "RISEXP_HOME": str(home)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for _ in range(processes)
    ]
    for process in begun:
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        process.stdin.flush()
    return [json.loads(process.communicate()[0]) for process in begun]


def place(store: TrackingStore) -> TrackingStore:
    """Put empty tables where a store is to be."""
    assert store.database is not None
    store.database.parent.mkdir(parents=True, exist_ok=True)
    store.database.write_bytes(made_at_once()[1])
    return store


def from_template(uri: str, _: str) -> None:
    """Tables at once, in place of MLflow's way of making them."""
    place(store_named(uri))


def new_run(name: str, config: RunConfig | None = None, labels: Labels | None = None) -> RunFolder:
    """A run that has not begun."""
    config = config or small_config()
    folder = create_run(name, config, curriculum(config))
    if labels is not None:
        write_labels(folder.path, labels)
    return folder


def train(
    folder: RunFolder, epochs: range = range(1, 4), scores: Mapping[str, float] = SCORES
) -> None:
    """An attempt that trains some epochs, and says nothing of its end."""
    folder.begin({"threads": 1, "device": "cpu"})
    journal, last = folder.open_journal(), LastConfusions()

    def validated(event: Event) -> None:
        if isinstance(event, EpochEnded):
            last.see(confused(event.plan.epoch))

    trainer = Told(
        folder.plans()[: epochs.stop - 1],
        lambda plan: ended_of(plan, {**scores, "k_loc": K_LOCS[(plan.epoch - 1) % 3]}),
        Trained(epoch=epochs.start - 1),
    )
    followed(trainer, validated, Recorder(journal, dict, confusions=last))


def confused(epoch: int) -> Found:
    """Tables that are others in each epoch: of four scenes, of the two first and of the rest."""
    true, answered = tensor([1, 2, 2, 3]), tensor([1, 2, min(epoch, 3), 3])
    bins = {"below 0": slice(0, 2), "0 to 10": slice(2, 4)}
    return Found(
        confusion(true, answered, most=3),
        {name: confusion(true[part], answered[part], most=3) for name, part in bins.items()},
    )


def finished(name: str, outcome: Outcome | None = None, labels: Labels | None = None) -> RunFolder:
    """A run that has come to its end."""
    folder = new_run(name, labels=labels)
    train(folder)
    folder.close(outcome or complete("finished", 3))
    return folder


def sent(
    folder: RunFolder,
    store: TrackingStore,
    runs: TrackingClient,
    *,
    live: bool = False,
    reached: Callable[[str], None] = lambda _: None,
) -> UploadResult:
    """What one pass of a sender brings into a store."""
    with UploadState(folder.path).sending():
        return Uploader(UploadState(folder.path), store.name, runs, reached).drain(live=live)


def progress_of(folder: RunFolder) -> UploadProgress:
    """How far a record has come."""
    found = UploadState(folder.path).progress()
    assert found is not None
    return found


def due(folder: RunFolder) -> list[Value]:
    """What a journal says has to be in a store, and no more than once."""
    keys = selected_keys(folder.plans())
    return sorted(
        (key, row.step, row.time, value)
        for row in read_journal(folder.journal).rows
        for key, value in sent_values(row, keys).items()
    )


def held(folder: RunFolder, store: TrackingStore) -> list[Value]:
    """All values that a store holds of a run, duplicates included."""
    question = (
        "SELECT m.key, m.step, m.timestamp, m.value FROM metrics m JOIN tags t USING (run_uuid) "
        "WHERE t.key = 'risexp.run' AND t.value = ?"
    )
    found = ask(store, question, folder.run_id)
    return sorted(
        (str(key), int(step), int(time), float(value)) for key, step, time, value in found
    )


def run_ids(folder: RunFolder, store: TrackingStore) -> list[str]:
    """The store's ids of all runs that are there, and not deleted, under a run's name."""
    question = (
        "SELECT r.run_uuid FROM runs r JOIN tags t USING (run_uuid) WHERE t.key = 'risexp.run' "
        "AND t.value = ? AND r.lifecycle_stage = 'active'"
    )
    return [str(row[0]) for row in ask(store, question, folder.run_id)]


def ask(store: TrackingStore, question: str, *values: str) -> list[tuple[Any, ...]]:
    """Rows of a store's own file, past MLflow."""
    assert store.database is not None
    with closing(sqlite3.connect(store.database)) as connection:
        return connection.execute(question, values).fetchall()


def artifacts_of(folder: RunFolder, store: TrackingStore) -> set[str]:
    """The names of a run's files in a store."""
    (run_id,) = run_ids(folder, store)
    assert store.artifacts is not None
    (root,) = store.artifacts.glob(f"*/{run_id}/artifacts")
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


@contextmanager
def served(
    database: TrackingStore, folder: Path, port: int = 0, moods: Moods | None = None
) -> Iterator[int]:
    """MLflow's own server over a store's file, in a thread and perhaps in a mood: its port."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what MLflow's server imports is its own affair
        from mlflow.server import app, constants, fastapi_app, handlers

    assert fastapi_app is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(constants.BACKEND_STORE_URI_ENV_VAR, database.uri)
        patch.setenv(constants.ARTIFACT_ROOT_ENV_VAR, "mlflow-artifacts:/")
        patch.setenv(constants.ARTIFACTS_DESTINATION_ENV_VAR, str(folder))
        patch.setenv(constants.SERVE_ARTIFACTS_ENV_VAR, "true")
        # One process serves one store and remembers it; here a test has a server of its own.
        for remembered in ("_tracking_store", "_model_registry_store", "_artifact_repo"):
            patch.setattr(handlers, remembered, None)
        moods = moods or Moods()
        server = make_server("127.0.0.1", port, moods.before(app), threaded=True)
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server.port
        finally:
            moods.over.set()
            server.shutdown()
            thread.join()
            server.server_close()


def stored(folder: RunFolder, store: TrackingStore) -> Run:
    """What MLflow says of the one run under a name."""
    (run_id,) = run_ids(folder, store)
    return MlflowClient(store.uri).get_run(run_id)
