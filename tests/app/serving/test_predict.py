"""Frames from a file, answered: the same answers in every form, in files that are new."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import savemat  # type: ignore[import-untyped] # it ships no types

from risexp.app.benchmark.methods import network_methods
from risexp.app.serving.predict import expect_new, predict, rows, write_answers
from risexp.app.serving.resolve_model import load_trained
from risexp.errors import DataInvalid, EnvironmentFailed, InvalidInput
from risexp.inference.estimate import Answer, answers
from tests.support.localisation import scenes_of
from tests.support.models import CPU, SCENES, arrays, model_config, model_in


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(model_in(tmp_path_factory.mktemp("models")))


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    np.savez(tmp_path / "frames.npz", **arrays())  # type: ignore[arg-type] # of numpy 2.4
    return tmp_path / "frames.npz"


@pytest.mark.parametrize(
    ("refine", "row"),
    [(None, "network"), ("none", "network"), ("measurement", "network+measurement")],
)
def test_a_file_is_answered_as_its_row_in_an_evaluation(
    model: str, frames: Path, refine: str | None, row: str
) -> None:
    method = network_methods(load_trained(model, CPU).predictor)[row]

    found = predict(model, frames, refine, CPU)  # type: ignore[arg-type] # a Literal

    assert answers(method(scenes_of(model_config(), SCENES))) == found.answers
    assert () == found.notes


def test_other_names_in_the_file_are_told(model: str, tmp_path: Path) -> None:
    savemat(tmp_path / "frames.mat", {**arrays(), "snr": np.ones(2)})

    found = predict(model, tmp_path / "frames.mat", None, CPU)

    assert (f"{tmp_path / 'frames.mat'} also holds snr, which is not used",) == found.notes
    assert SCENES == len(found.answers)


def test_frames_of_another_panel_are_refused_with_their_file(model: str, tmp_path: Path) -> None:
    given = arrays()
    few = {**given, "y": given["y"][:, :5], "codes": given["codes"][:5]}
    np.savez(tmp_path / "few.npz", **few)  # type: ignore[arg-type] # of numpy 2.4

    with pytest.raises(DataInvalid, match=r"few\.npz: y has shape \(6, 5, 8\) where \(B, 16, 8\)"):
        predict(model, tmp_path / "few.npz", None, CPU)


def test_both_files_hold_the_answers(model: str, frames: Path, tmp_path: Path) -> None:
    found = predict(model, frames, None, CPU)

    write_answers(found, tmp_path / "out.json")
    write_answers(found, tmp_path / "out.csv")

    told = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert found.answers == told["predictions"]
    assert ("run-1", 3, model_config().sha()) == (told["run"], told["epoch"], told["network_sha"])
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert sum(max(each["count"], 1) for each in found.answers) == len(lines)
    sources = [source for each in found.answers for source in each["sources"]]
    told_sources = [line for line in lines if line["source"]]
    for source, line in zip(sources, told_sources, strict=True):
        assert [source["phi_deg"], source["theta_deg"], source["range_m"]] == [
            float(line[name]) for name in ("phi_deg", "theta_deg", "range_m")
        ]
    for line in lines:
        scene = found.answers[int(line["scene"])]
        assert scene["count_probabilities"] == [float(line[f"p_{k}"]) for k in (1, 2, 3)]
        assert (scene["count"], scene["confidence"]) == (
            int(line["count"]),
            float(line["confidence"]),
        )


def test_a_scene_without_a_source_has_a_row_too() -> None:
    none = Answer(count=0, count_probabilities=[1.0], sources=[], confidence=0.0)

    assert [[0, 0.0, "", "", "", ""]] == rows(none)


def test_a_file_that_is_there_is_never_written_over(
    model: str, frames: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out.json").write_text("precious", encoding="utf-8")
    found = predict(model, frames, None, CPU)

    with pytest.raises(InvalidInput, match=r"out\.json is there already"):
        expect_new(tmp_path / "out.json")
    # Somebody else may be faster between the looks.
    monkeypatch.setattr("risexp.core.durable.expect_new", lambda _: None)
    with pytest.raises(InvalidInput, match=r"out\.json is there already"):
        write_answers(found, tmp_path / "out.json")
    assert "precious" == (tmp_path / "out.json").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("out.txt", "names no format: end it in .json or .csv"),
        ("out", "names no format"),
        ("nowhere/out.csv", "there is no folder"),
    ],
)
def test_a_name_that_cannot_be_written_is_refused(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        expect_new(tmp_path / name)


@pytest.mark.parametrize(
    ("happens", "said"),
    [(OSError(28, "No space left on device"), EnvironmentFailed), (KeyboardInterrupt(), None)],
)
def test_a_full_disk_or_a_person_in_a_hurry_leaves_no_half_of_a_file(
    model: str,
    frames: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    happens: BaseException,
    said: type[Exception] | None,
) -> None:
    found = predict(model, frames, None, CPU)
    before = sorted(tmp_path.iterdir())

    def stopped(_: int) -> None:
        raise happens

    monkeypatch.setattr("os.fsync", stopped)

    with pytest.raises(said or KeyboardInterrupt):
        write_answers(found, tmp_path / "out.json")
    assert before == sorted(tmp_path.iterdir())


def test_frames_are_answered_on_the_device(model: str, frames: Path, device: torch.device) -> None:
    here = predict(model, frames, None, CPU).answers
    there = predict(model, frames, None, device).answers

    assert [each["count"] for each in here] == [each["count"] for each in there]
