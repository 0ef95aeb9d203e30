"""`risexp eval`: what is asked of it that it cannot do, it refuses in a sentence."""

from pathlib import Path

import pytest

from risexp.runs.folder import list_runs
from tests.support.commands import Capture, document, run

TRAIN = (
    "train -p smoke --set training.epochs=1 --set training.scenes_per_epoch=16 "
    "--set training.batch=8 --set validation.scenes=8 --set validation.calibration_scenes=8 "
    "--set network.front=aperture --set sampled.method=per_snapshot --device cpu"
)


@pytest.fixture(autouse=True)
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path))


def test_only_the_scenes_can_be_set_and_only_as_the_network_sees_them(capsys: Capture) -> None:
    run(capsys, TRAIN)
    (folder,) = list_runs()
    asked = f"eval {folder.run_id} --scenes 4 --snr 10 --against mdl"
    refusals = {
        "count.threshold=0.4": "count.threshold cannot be set for an evaluation",
        "localisation.spectrum=mvdr": "localisation.spectrum cannot be set for an evaluation",
        "sampled.ridge=0.1": "sampled.ridge cannot be set for an evaluation",
        "data.snr_db=[0,5]": "set --snr",
        "physics.snapshots=20": "made for physics.snapshots = 16, and the scenes have 20",
        "physics.symbols=snapshot": "made for physics.symbols = frame",
    }

    for change, said in refusals.items():
        code, out, err = run(capsys, f"{asked} --set {change}")
        assert (2, "") == (code, out)
        assert said in err
    told = document(capsys, f"{asked} --set physics.rician_db=[-10,-5]")

    assert ["network", "mdl"] == list(told["methods"])


def test_a_checkpoint_is_evaluated_by_its_file(capsys: Capture) -> None:
    run(capsys, TRAIN)
    (folder,) = list_runs()
    (manifest,) = folder.attempts()[0].glob("*.manifest.json")

    told = document(capsys, f"eval {manifest} --scenes 4 --snr 10 --against mdl")

    assert (folder.run_id, 1) == (told["run"], told["epoch"])


def test_a_file_that_is_no_checkpoint_is_refused(capsys: Capture, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("")

    code, out, err = run(capsys, f"eval {tmp_path / 'notes.txt'}")

    assert (2, "") == (code, out)
    assert "is no file of a checkpoint" in err
