"""`risexp train` and `risexp eval`: a run from its first word to its row in a table."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from risexp.runs.folder import RunFolder, list_runs
from risexp.training.checkpoint_store import best, newest
from tests.support.commands import Capture, document, run

SETTINGS = (
    "training.epochs=3",
    "training.scenes_per_epoch=128",
    "training.batch=32",
    "validation.scenes=32",
    "validation.calibration_scenes=64",
)
TRAIN = "train -p smoke --threads 1 --device cpu " + " ".join(f"--set {each}" for each in SETTINGS)


@pytest.fixture(autouse=True)
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path))
    return tmp_path


def the_run() -> RunFolder:
    (only,) = list_runs()
    return only


def weights(folder: RunFolder) -> dict[str, list[float]]:
    """What the last epoch left, number by number."""
    last = newest(folder.attempts()).checkpoint
    assert last is not None
    states = {"weights": last.state.weights, "averaged": last.state.averaged}
    return {
        f"{group}/{name}": tensor.flatten().tolist()
        for group, tensors in states.items()
        for name, tensor in tensors.items()
    }


def test_a_run_ends_with_a_calibrated_best_epoch(capsys: Capture) -> None:
    told = document(capsys, TRAIN)

    folder = the_run()
    kept = best(folder.attempts()).checkpoint
    assert folder.run_id == told["run"]
    assert "complete" == told["outcome"]["status"]
    assert kept.epoch == told["best"]["epoch"]
    assert kept.temperature == told["calibration"]["temperature"]
    assert told["calibration"]["nll_after"] <= told["calibration"]["nll_before"]
    rows = [json.loads(line) for line in folder.journal.read_text("utf-8").splitlines()]
    assert [1, 2, 3] == [row["step"] for row in rows if "values" in row]


def test_a_run_says_how_it_stands_beside_chance_and_limits(capsys: Capture) -> None:
    code, out, err = run(capsys, TRAIN)

    assert code == 0
    assert "chance" in out
    assert "reference" in out
    assert "nomp" in out
    assert f"risexp eval {the_run().run_id}" in out
    assert "k_acc" in err


def test_a_run_that_is_stopped_after_each_epoch_ends_with_the_same_weights(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(capsys, TRAIN)
    whole = weights(the_run())
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path / "other"))

    run(capsys, f"{TRAIN} --time-limit 0")
    name = the_run().run_id
    for _ in range(2):
        code, _, _ = run(capsys, f"train --resume {name} --time-limit 0")
        assert code == 0

    assert whole == weights(the_run())
    assert 3 == len(the_run().attempts())


def test_a_damaged_checkpoint_is_set_aside_and_the_older_one_used(capsys: Capture) -> None:
    run(capsys, TRAIN)
    folder, whole = the_run(), weights(the_run())
    newest_file = max(folder.attempts()[0].glob("epoch-000003*.safetensors"))
    content = bytearray(newest_file.read_bytes())
    content[len(content) // 2] ^= 1
    newest_file.write_bytes(bytes(content))

    code, _, err = run(capsys, f"train --resume {folder.run_id}")

    assert code == 0
    assert "set aside" in err
    assert whole == weights(folder)


def test_a_killed_run_goes_on_to_the_same_weights(capsys: Capture, tmp_path: Path) -> None:
    run(capsys, TRAIN)
    whole, finished = weights(the_run()), the_run().run_id
    home = tmp_path / "killed"
    environment = {**os.environ, "RISEXP_HOME": str(home), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "risexp", *TRAIN.split()]
    with subprocess.Popen(  # noqa: S603 - our own interpreter and program
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        deadline = time.monotonic() + 60.0
        while not list(home.glob("mlruns/runs/*/checkpoints/*/*.manifest.json")):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RISEXP_HOME", str(home))
        killed = the_run()
        code, _, _ = run(capsys, f"train --resume {killed.run_id}")

        assert code == 0
        assert whole == weights(killed)
        assert killed.run_id != finished


def test_a_run_that_learns_nothing_is_ended_by_a_guard(capsys: Capture) -> None:
    idle = f"{TRAIN} --set training.epochs=12 --set training.optimizer.lr=1e-7"

    code, _, err = run(capsys, f"{idle} --set validation.scenes=640")

    outcome = the_run().outcome()
    assert code == 4
    assert outcome is not None
    assert "aborted" == outcome.status
    assert "chance" == outcome.reason
    assert "chance" in err


def test_a_run_on_too_few_scenes_to_tell_is_not_ended_and_says_so(capsys: Capture) -> None:
    idle = f"{TRAIN} --set training.epochs=6 --set training.optimizer.lr=1e-7"

    code, _, err = run(capsys, idle)

    assert code == 0
    assert 1 == err.count("32 validation scenes are too few to tell a count that learns")
    assert "at chance," not in err


def test_a_network_whose_best_epoch_is_damaged_is_the_next_one_and_says_so(
    capsys: Capture,
) -> None:
    run(capsys, TRAIN)
    folder = the_run()
    kept = best(folder.attempts()).checkpoint.epoch
    tensors = next(folder.attempts()[0].glob(f"epoch-{kept:06d}-*.safetensors"))
    tensors.write_bytes(tensors.read_bytes()[:-1])

    code, out, err = run(capsys, f"eval {folder.run_id} --scenes 4 --snr 10 --against mdl")

    used = best(folder.attempts()).checkpoint.epoch
    assert (0, True) == (code, used != kept)
    assert f"run {folder.run_id}, epoch {used}" in out
    assert f"{tensors.name} has " in err
    assert "were written: set aside" in err
    assert f"the checkpoint of epoch {used} is used in place of that of epoch {kept}" in err


def test_a_warm_start_from_a_damaged_best_says_what_it_starts_from(capsys: Capture) -> None:
    run(capsys, TRAIN)
    folder = the_run()
    kept = best(folder.attempts()).checkpoint.epoch
    next(folder.attempts()[0].glob(f"epoch-{kept:06d}-*.safetensors")).unlink()

    told = document(
        capsys, f"{TRAIN} --set training.epochs=1 --set curriculum.warm_start={folder.run_id}"
    )

    missing, used = told["damaged"]
    assert "is missing: set aside" in missing
    assert used.endswith(f"is used in place of that of epoch {kept}")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("train --resume none", "there is no run 'none'"),
        ("train --resume none --set data.seed=1", "leave out the rest"),
        ("train --device tpu", "no device"),
        ("train -p smoke --set curriculum.warm_start=lost", "there is no run 'lost'"),
        ("eval none", "there is no run 'none'"),
    ],
)
def test_what_cannot_begin_leaves_nothing_behind(
    capsys: Capture, at_home: Path, command: str, said: str
) -> None:
    code, out, err = run(capsys, command)

    assert (2, "") == (code, out)
    assert said in err
    assert [] == list(at_home.iterdir())


def test_a_network_is_a_row_beside_other_methods(capsys: Capture) -> None:
    run(capsys, TRAIN)
    name = the_run().run_id

    told = document(
        capsys, f"eval {name} --scenes 12 --snr 10 --against nomp,network+bic --refine measurement"
    )

    rows = ["network", "network+measurement", "nomp", "network+bic"]
    assert rows == list(told["methods"])
    assert name == told["run"]
    assert told["methods"]["network"]["k_acc"] == told["methods"]["network+measurement"]["k_acc"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("--against network", "in the table already"),
        ("--against mlp", "there is no method 'mlp'"),
        ("--set physics.elements_h=8", "was made for physics.elements_h = 6"),
        ("--set data.sources_max=4", "counts to 3"),
    ],
)
def test_what_a_network_cannot_answer_is_refused(capsys: Capture, more: str, said: str) -> None:
    run(capsys, f"{TRAIN} --set training.epochs=1")

    code, _, err = run(capsys, f"eval {the_run().run_id} {more}")

    assert code == 2
    assert said in err
