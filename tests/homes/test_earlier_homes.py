"""A home that an earlier version wrote: it opens, and its search goes on."""

import json
import os
import sqlite3
import tarfile
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from risexp.app.run.machine import Machine
from risexp.app.search.worker import train_trial
from risexp.callbacks.early_stopping import Until
from risexp.config.layers import load_config
from risexp.data.scenes import SceneGenerator
from risexp.hpo.trials.reaper import Reaper
from risexp.hpo.workers.worker import Job, JobResult
from risexp.registry.pyfunc_model import load_model
from risexp.runs.spec import Labels
from tests.homes.write_home import HOME
from tests.support.commands import Capture, document, run
from tests.support.searches import PoolHere

ARCHIVES = sorted(Path(__file__).parent.glob("*.tar.xz"))
CHAMPION = "models:/ris-localizer@champion"


@pytest.fixture(params=ARCHIVES, ids=lambda path: path.name.split(".")[0])
def home(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home, unpacked, with its own place in the addresses of its files."""
    with tarfile.open(request.param) as archive:
        archive.extractall(tmp_path)  # noqa: S202 - our own; filters came with Python 3.11.4
    folder = tmp_path / "home"
    with closing(sqlite3.connect(folder / "mlruns" / "mlflow.db")) as database, database:
        relocate(database, str(HOME), str(folder))
    monkeypatch.chdir(folder)
    monkeypatch.setenv("RISEXP_HOME", str(folder))
    for name in ("RISEXP_STORE", "RISEXP_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    return folder


def relocate(database: sqlite3.Connection, old: str, new: str) -> None:
    """Replace a folder in every text of a database."""
    tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    for (table,) in tables:
        for _, column, kind, *_ in database.execute(f"PRAGMA table_info({table})").fetchall():
            if "CHAR" in kind or "TEXT" in kind:
                database.execute(
                    f"UPDATE {table} SET {column} = replace({column}, ?, ?) "  # noqa: S608 - its own names
                    f"WHERE {column} LIKE ?",
                    (old, new, f"%{old}%"),
                )


def write_frames(path: Path) -> None:
    """Three scenes as a user brings them."""
    config = load_config(preset="smoke").config
    frames = SceneGenerator(config.physics, config.data).scenes("test", 0, 3).frames
    np.savez(path, y=frames.y, channel=frames.channel, codes=frames.codes, snr_db=frames.snr_db)  # type: ignore[arg-type] # of numpy 2.4


def test_there_is_a_home_of_an_earlier_version() -> None:
    assert ARCHIVES


def train_briefly(job: Job, machine: Machine, labels: Labels) -> JobResult:
    """Train two epochs at most: a killed trial goes on with its second, a new one has both."""
    callbacks = replace(job.callbacks, enders=(Until(2),))
    return train_trial(replace(job, callbacks=callbacks), machine, labels)


def test_a_killed_search_goes_on_and_the_doctor_finds_no_fault(
    home: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("risexp.app.search.supervisor.WorkerPool", PoolHere)
    monkeypatch.setattr("risexp.app.search.worker.train_trial", train_briefly)
    monkeypatch.setattr("risexp.hpo.workers.worker.RENEW_S", 0.2)
    monkeypatch.setattr("risexp.hpo.workers.worker.Reaper", partial(Reaper, patience_s=0.0))
    monkeypatch.setattr("risexp.hpo.workers.worker._POLL_S", 0.2)
    before = document(capsys, "study show earlier")
    search = "hpo --space earlier --workers 1 --device cpu --unchecked"

    code, _, err = run(capsys, search)

    assert ["complete", "complete", "running", "waiting"] == [
        trial["state"] for trial in before["trials"]
    ]
    assert 0 == code, err
    after = document(capsys, "study show earlier")
    assert ["complete"] * 4 == [trial["state"] for trial in after["trials"]]
    assert [trial["value"] for trial in before["trials"][:2]] == [
        trial["value"] for trial in after["trials"][:2]
    ]
    assert 2 == len(list((home / "mlruns/runs/earlier-002/checkpoints").iterdir()))
    code, out, _ = run(capsys, "doctor --json")
    faults = [check for check in json.loads(out)["checks"] if check["verdict"] == "fail"]
    assert (0, []) == (code, faults)


def test_the_model_of_an_earlier_version_answers_and_is_rolled_back(
    home: Path, capsys: Capture
) -> None:
    write_frames(home / "frames.npz")
    answers = document(capsys, f"predict {CHAMPION} frames.npz")

    code, out, err = run(capsys, "rollback --json")

    assert 3 == len(answers["predictions"])
    assert 0 == code, err
    assert 1 == json.loads(out)["version"]
    assert 3 == len(document(capsys, f"predict {CHAMPION} frames.npz")["predictions"])


def test_a_model_that_an_earlier_version_sealed_loads_in_mlflow(home: Path) -> None:
    write_frames(home / "frames.npz")
    with np.load(home / "frames.npz") as frames:
        arrays = dict(frames)
    folders = [path.parent for path in home.glob("mlruns/artifacts/**/MLmodel")]

    models = [load_model(str(folder)) for folder in folders]

    assert 2 == len(models)
    inputs = {"y": arrays["y"], "channel": arrays["channel"], "codes": arrays["codes"][np.newaxis]}
    parameters = {"snr_db": arrays["snr_db"].tolist()}
    assert [3, 3] == [len(model.predict(inputs, params=parameters)) for model in models]
    sources = [(folder / "entry.py").read_text("utf-8") for folder in folders]
    assert all("from risexp.registry.served import Served" in source for source in sources)


def test_the_report_of_an_earlier_study_is_written(home: Path, capsys: Capture) -> None:
    code, _, err = run(capsys, "report --study earlier -o earlier.html --scenes 20")

    assert 0 == code, err
    page = (home / "earlier.html").read_text("utf-8")
    assert "earlier-001" in page
    assert os.fspath(HOME) not in page
