"""`risexp predict`: its output and files, and requests that it refuses before it writes."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.support.commands import Capture, document, refused, run
from tests.support.models import SCENES, arrays, model_in


@pytest.fixture(autouse=True)
def here(tmp_path: Path) -> Path:
    """A folder with a model, frames for it, and frames with a NaN."""
    model_in(tmp_path)
    np.savez(tmp_path / "frames.npz", **arrays())  # type: ignore[arg-type] # of numpy 2.4
    spoiled = arrays()["y"].copy()
    spoiled[2, 0, 0] = np.nan
    np.savez(tmp_path / "nan.npz", **arrays(y=spoiled))  # type: ignore[arg-type]
    return tmp_path


def test_a_terminal_is_shown_a_row_for_each_source(capsys: Capture) -> None:
    code, out, err = run(capsys, "predict model frames.npz")

    assert (0, "") == (code, err)
    heading, names, *lines = out.splitlines()
    assert "run run-1, epoch 3" == heading
    assert ["scene", "count", "confidence", "source", "phi_deg", "theta_deg", "range_m"] == (
        names.split()
    )
    assert {str(scene) for scene in range(SCENES)} == {line.split()[0] for line in lines}


def test_the_document_and_the_file_are_the_same(capsys: Capture, here: Path) -> None:
    told = document(capsys, "predict model frames.npz --out answers.json")

    assert told == json.loads((here / "answers.json").read_text(encoding="utf-8"))
    assert SCENES == len(told["predictions"])


def test_more_scenes_than_a_terminal_shows_are_counted(capsys: Capture, here: Path) -> None:
    many = {
        name: value if name == "codes" else np.concatenate([value] * 4)
        for name, value in arrays().items()
    }
    np.savez(here / "many.npz", **many)  # type: ignore[arg-type] # of numpy 2.4

    _, _, err = run(capsys, "predict model many.npz")

    assert f"{4 * SCENES - 20} more scenes: --out FILE writes all of them" in err


def test_impossible_requests_are_refused_and_nothing_is_written(
    capsys: Capture, here: Path
) -> None:
    before = sorted(here.iterdir())

    for command, said in (
        ("predict model nan.npz --out new.json", "y of scene 2 holds a value that is not a finite"),
        ("predict model frames.npz --out frames.npz", "names no format: end it in .json or .csv"),
        ("predict model absent.npz --out new.csv", "there is no file absent.npz"),
        ("predict nothing frames.npz --out new.csv", "there is no run 'nothing'"),
        ("predict models:/a frames.npz --out new.csv", "name models:/NAME@ALIAS"),
        ("predict model frames.npz --refine more --out new.csv", "'more'"),
        ("predict model model/MLmodel --out new.csv", "neither a .npz nor a .mat file"),
        (f"predict {'x' * 300} frames.npz --out new.csv", "xxx... is too long for a name"),
        (f"predict model {'x' * 300}.npz --out new.csv", "File name too long"),
        ("predict frames.npz frames.npz --out new.csv", "is no file of a checkpoint"),
    ):
        refused(capsys, command, said)
        assert before == sorted(here.iterdir())


def test_a_model_is_evaluated_like_a_run(capsys: Capture) -> None:
    told = document(capsys, "eval model --scenes 4 --snr 10 --against mdl")

    assert ["network", "mdl"] == list(told["methods"])
    assert ("run-1", 3, 1.5) == (told["run"], told["epoch"], told["temperature"])
