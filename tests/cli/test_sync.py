"""`risexp train`, `risexp sync` and `risexp store`: a run and its record in MLflow."""

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from risexp.core.locks import Busy
from risexp.runs.folder import RunFolder, list_runs
from risexp.runs.outcome import complete
from risexp.runs.source import sources
from risexp.runs.spec import Labels, read_labels
from risexp.tracking.stores import TrackingStore, embedded
from risexp.tracking.upload_state import UploadState
from tests.support.commands import TRAIN, Capture, document, refused, run
from tests.support.uploads import ask, due, finished, held, new_run, place, run_ids, train


@pytest.fixture(autouse=True)
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrackingStore:
    """An embedded store that is there."""
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path))
    monkeypatch.delenv("RISEXP_TRACKING_URI")
    return place(embedded())


def the_run() -> RunFolder:
    (only,) = list_runs()
    return only


def test_a_trained_run_is_in_the_embedded_store_as_its_journal_has_it(
    capsys: Capture, at_home: TrackingStore, tmp_path: Path
) -> None:
    told = document(capsys, TRAIN)

    folder = the_run()
    assert [told["mlflow_run"]] == run_ids(folder, at_home)
    assert Labels(preset="smoke") == read_labels(folder.path)
    assert 1 == len(sources(folder.path))
    assert due(folder) == held(folder, at_home)
    assert [("FINISHED",)] == ask(at_home, "SELECT status FROM runs")
    assert at_home.artifacts is not None
    written = [*at_home.artifacts.rglob("*"), *(tmp_path / "mlruns" / "runs").rglob("*")]
    assert {0o600, 0o700} == {stat.S_IMODE(path.stat().st_mode) for path in written}
    names = {path.name for path in at_home.artifacts.rglob("*") if path.is_file()}
    tables = {f"epoch-00000{epoch}.json" for epoch in (1, 2, 3)}
    assert tables | {"calibration.json", "config.yaml", "source.json"} <= names


@pytest.mark.slow
def test_a_run_that_is_killed_with_its_sender_is_sent_by_sync(
    capsys: Capture, at_home: TrackingStore, tmp_path: Path
) -> None:
    environment = {**os.environ, "RISEXP_HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "risexp", *TRAIN.replace("epochs=3", "epochs=500").split()]
    with subprocess.Popen(  # noqa: S603 - our own interpreter and program
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        deadline = time.monotonic() + 60.0
        while not list(tmp_path.glob("mlruns/runs/*/checkpoints/*/*.manifest.json")):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text("utf-8")
        for number in (*map(int, children.split()), process.pid):
            os.kill(number, signal.SIGKILL)

    (told,) = document(capsys, "sync")

    folder = the_run()
    assert ("sent", folder.run_id) == (told["state"], told["run"])
    assert due(folder) == held(folder, at_home)
    (state,) = ask(at_home, "SELECT value FROM tags WHERE key = 'risexp.state'")
    assert ("interrupted",) == state
    assert [] == document(capsys, "sync")


def test_sync_says_of_each_run_what_it_sent_and_sends_only_what_is_named(
    capsys: Capture, at_home: TrackingStore
) -> None:
    one, two = finished("one"), finished("two", labels=Labels(store="off"))
    finished("three")

    named = document(capsys, "sync two")
    assert ["two"] == [upload["run"] for upload in named]
    assert ([], 1) == (run_ids(one, at_home), len(run_ids(two, at_home)))
    code, out, _ = run(capsys, "sync")
    assert 0 == code
    assert ["one", "three"] == sorted(line.split()[0] for line in out.splitlines()[1:])
    assert (0, "every record is where it belongs\n", "") == run(capsys, "sync")


def test_a_lost_store_is_rebuilt_whole_and_one_that_is_there_holds_nothing_twice(
    capsys: Capture, at_home: TrackingStore
) -> None:
    folders = [finished("one"), finished("two")]
    document(capsys, "sync")
    before = run_ids(folders[0], at_home)

    document(capsys, "sync --again")

    assert before == run_ids(folders[0], at_home)
    assert [due(folder) for folder in folders] == [held(folder, at_home) for folder in folders]
    assert at_home.database is not None
    at_home.database.unlink()
    place(at_home)
    assert [] == document(capsys, "sync")
    document(capsys, "sync --again")
    assert [due(folder) for folder in folders] == [held(folder, at_home) for folder in folders]


def test_a_damaged_run_does_not_keep_others_from_their_store(
    capsys: Capture, at_home: TrackingStore
) -> None:
    sound, damaged = finished("one"), finished("two", labels=Labels())
    for path in damaged.path.rglob("labels.json"):
        path.write_bytes(b"{")

    code, out, err = run(capsys, "sync")

    assert due(sound) == held(sound, at_home)
    assert (1, True, True) == (code, "two" in out, "labels.json" in err)


def test_sync_that_fails_says_so_and_loses_nothing(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server is away, or another process does not finish the store."""

    def refuse(_store: TrackingStore) -> None:
        raise Busy("another process has been making the store for 5 minutes")

    folders = [finished("one"), finished("two")]

    away = run(capsys, "sync --tracking http://me:planted-secret@127.0.0.1:9")
    monkeypatch.setattr("risexp.app.run.sync.opened", refuse)
    busy = run(capsys, "sync one")

    sentence = "run one was not sent: the store does not answer (connection refused) (and 1 more)"
    assert (1, True) == (away[0], sentence in away[2])
    assert "planted-secret" not in away[1] + away[2]
    sentence = "run one was not sent: another process has been making the store"
    assert (1, True) == (busy[0], sentence in busy[2])
    assert all(UploadState(folder.path).unsent() for folder in folders)


def test_what_names_no_run_or_no_store_is_refused(capsys: Capture) -> None:
    finished("one")

    for command, sentence in (
        ("sync none", "there is no run 'none'"),
        ("sync --tracking off", "nothing is sent to `off`"),
        ("sync --tracking nowhere", "is no tracking store"),
        ("store init --tracking off", "--tracking says off"),
        ("store init --tracking file:///x", "is no tracking store"),
        ("train -p smoke --tracking nowhere", "is no tracking store"),
    ):
        refused(capsys, command, sentence)
    assert ["one"] == [folder.run_id for folder in list_runs()]


def test_stores_that_are_ready_are_left_as_they_are(
    capsys: Capture, at_home: TrackingStore, tmp_path: Path
) -> None:
    told = document(capsys, "store init")

    code, out, _ = run(capsys, "store init")

    assert str(at_home.database) == told["database"]
    assert not told["created"]
    studies = tmp_path / "mlruns" / "optuna.db"
    assert studies.exists()
    said = f"runs: {at_home.database} was ready already\nstudies: {told['studies']} is ready\n"
    assert (0, said) == (code, out)
    assert str(studies) in told["studies"]


@pytest.mark.fault("F22")
def test_secrets_of_address_and_environment_are_in_no_file_of_a_run(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    planted = "http://me:planted-secret-1@127.0.0.1:9"
    monkeypatch.setenv("RISEXP_TRACKING_URI", planted)
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "planted-secret-2")
    monkeypatch.setenv("RISEXP_TRACKING_WAIT_S", "30")

    code, out, err = run(capsys, f"{TRAIN} --set training.epochs=1")

    texts = [
        path.read_bytes() for path in (tmp_path / "mlruns" / "runs").rglob("*") if path.is_file()
    ]
    assert code == 0
    assert "are not in http://127.0.0.1:9 yet" in err
    assert [] == [text for text in texts if b"planted-secret" in text]
    assert "planted-secret" not in out + err


def test_a_finished_run_counts_as_sent_only_with_its_ending_and_keeps_its_store(
    capsys: Capture,
) -> None:
    folder = new_run("ending")
    train(folder)
    run(capsys, "sync")
    folder.close(complete("finished", 3))

    (upload,) = document(capsys, "sync")

    assert (0, "sent") == (upload["lines"], upload["state"])
    assert 0 == UploadState(folder.path).unsent()
    train(new_run("two"))
    code, _, err = run(capsys, "sync ending --tracking http://127.0.0.1:9")
    assert 2 == code
    assert "run ending is recorded in embedded and cannot move to http://127.0.0.1:9" in err
