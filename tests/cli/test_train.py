"""`risexp train` and `risexp eval`: from a configuration to a row in a table."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from risexp.runs.folder import RunFolder, list_runs
from risexp.training.checkpoint_store import best, newest
from tests.support.commands import TRAIN, Capture, document, refused, run


@pytest.fixture(autouse=True)
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def finished(trained: Path, at_home: Path) -> RunFolder:
    shutil.copytree(trained, at_home, dirs_exist_ok=True)
    return the_run()


def the_run() -> RunFolder:
    (only,) = list_runs()
    return only


def weights(folder: RunFolder) -> dict[str, list[float]]:
    last = newest(folder.attempts()).checkpoint
    assert last is not None
    states = {"weights": last.state.weights, "averaged": last.state.averaged}
    return {
        f"{group}/{name}": tensor.flatten().tolist()
        for group, tensors in states.items()
        for name, tensor in tensors.items()
    }


def test_a_run_ends_with_a_calibrated_best_epoch(capsys: Capture) -> None:
    answer = document(capsys, TRAIN)

    folder = the_run()
    kept = best(folder.attempts()).checkpoint
    assert (folder.run_id, "complete") == (answer["run"], answer["outcome"]["status"])
    assert kept.epoch == answer["best"]["epoch"]
    assert kept.temperature == answer["calibration"]["temperature"]
    assert answer["calibration"]["nll_after"] != answer["calibration"]["nll_before"]
    rows = [json.loads(line) for line in folder.journal.read_text("utf-8").splitlines()]
    assert [1, 2, 3] == [row["step"] for row in rows if "values" in row]


def test_a_run_that_stops_after_every_epoch_ends_with_the_same_weights(
    capsys: Capture, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(capsys, f"{TRAIN} --time-limit 0")
    name = the_run().run_id
    for _ in range(2):
        code, out, err = run(capsys, f"train --resume {name} --time-limit 0")
        assert 0 == code
        assert f"risexp eval {name}" in out or "k_acc" in err

    resumed = weights(the_run())
    assert 3 == len(the_run().attempts())
    monkeypatch.setenv("RISEXP_HOME", str(trained))
    assert resumed == weights(the_run())


def test_a_killed_run_resumes_to_the_same_weights(
    trained: Path, capsys: Capture, at_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = {**os.environ, "RISEXP_HOME": str(at_home), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "risexp", *TRAIN.split()]
    with subprocess.Popen(  # noqa: S603 - our own interpreter and program
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        while not list(at_home.glob("mlruns/runs/*/checkpoints/*/*.manifest.json")):
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    killed = the_run()

    code, _, _ = run(capsys, f"train --resume {killed.run_id}")

    assert 0 == code
    resumed = weights(killed)
    monkeypatch.setenv("RISEXP_HOME", str(trained))
    assert resumed == weights(the_run())
    assert killed.run_id != the_run().run_id


def test_a_run_that_learns_nothing_is_ended_by_a_guard(capsys: Capture) -> None:
    idle = f"{TRAIN} --set training.epochs=12 --set training.optimizer.lr=1e-7"

    code, _, err = run(capsys, f"{idle} --set validation.scenes=640")

    outcome = the_run().outcome()
    assert outcome is not None
    assert (4, "aborted", "chance") == (code, outcome.status, outcome.reason)
    assert "chance" in err


def test_a_network_with_a_damaged_best_epoch_is_the_next_one(
    finished: RunFolder, capsys: Capture
) -> None:
    kept = best(finished.attempts()).checkpoint.epoch
    tensors = next(finished.attempts()[0].glob(f"epoch-{kept:06d}-*.safetensors"))
    tensors.write_bytes(tensors.read_bytes()[:-1])

    code, out, err = run(capsys, f"eval {finished.run_id} --scenes 4 --snr 10 --against mdl")

    used = best(finished.attempts()).checkpoint.epoch
    assert (0, True) == (code, used != kept)
    assert f"run {finished.run_id}, epoch {used}" in out
    assert f"{tensors.name} has " in err
    assert "were written: set aside" in err
    assert f"the checkpoint of epoch {used} is used in place of that of epoch {kept}" in err


REFUSED = {
    "train --resume none": "there is no run 'none'",
    "train --resume none --set data.seed=1": "leave out --preset, --config and --set",
    "train --device tpu": "no device",
    "train -p smoke --set curriculum.warm_start=lost": "there is no run 'lost'",
    "eval none": "there is no run 'none'",
}


def test_a_command_that_cannot_begin_leaves_nothing_behind(capsys: Capture, at_home: Path) -> None:
    for command, sentence in REFUSED.items():
        refused(capsys, command, sentence)
    assert [] == list(at_home.iterdir())


def test_a_network_is_a_row_beside_other_methods(finished: RunFolder, capsys: Capture) -> None:
    methods = "--against nomp,network+bic --refine measurement"
    (manifest, *_) = sorted(finished.attempts()[0].glob("*.manifest.json"))

    answer = document(capsys, f"eval {finished.run_id} --scenes 12 --snr 10 {methods}")
    of_file = document(capsys, f"eval {manifest} --scenes 4 --snr 10 --against mdl")

    rows = answer["methods"]
    assert ["network", "network+measurement", "nomp", "network+bic"] == list(rows)
    assert rows["network"]["k_acc"] == rows["network+measurement"]["k_acc"]
    assert finished.run_id == answer["run"] == of_file["run"]
    assert int(manifest.name[6:12]) == of_file["epoch"]


UNANSWERABLE = {
    "--against network": "in the table already",
    "--against mlp": "there is no method 'mlp'",
    "--set physics.elements_h=8": "was made for physics.elements_h = 6",
    "--snr 10 --set data.snr_db=[0,5]": "set --snr",
}


def test_questions_that_a_network_cannot_answer_are_refused(
    finished: RunFolder, capsys: Capture
) -> None:
    for options, sentence in UNANSWERABLE.items():
        code, _, err = run(capsys, f"eval {finished.run_id} {options}")

        assert 2 == code
        assert sentence in err
