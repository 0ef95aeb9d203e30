"""Answers to the frames in a file: the same in every form, in new files only."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import savemat  # type: ignore[import-untyped] # it ships no types

from risexp.app.benchmark.methods import network_methods
from risexp.app.serving.predict import HEADINGS, expect_new, predict, rows, write_answers
from risexp.app.serving.resolve_model import load_trained
from risexp.config.training import Refinement
from risexp.errors import DataInvalid, InvalidInput
from risexp.inference.estimate import answers
from tests.support.localisation import scenes_of
from tests.support.models import CPU, SCENES, arrays, model_config, model_in


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(model_in(tmp_path_factory.mktemp("models")))


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    np.savez(tmp_path / "frames.npz", **arrays())  # type: ignore[arg-type] # of numpy 2.4
    return tmp_path / "frames.npz"


def test_a_file_is_answered_as_its_row_in_an_evaluation(model: str, frames: Path) -> None:
    methods = network_methods(load_trained(model, CPU).predictor)
    cases: tuple[tuple[Refinement | None, str], ...] = (
        (None, "network"),
        ("none", "network"),
        ("measurement", "network+measurement"),
    )

    for refine, row in cases:
        predicted = predict(model, frames, refine, CPU)
        assert answers(methods[row](scenes_of(model_config(), SCENES))) == predicted.answers
        assert () == predicted.notes


def test_unused_names_in_the_file_are_noted(model: str, tmp_path: Path) -> None:
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
    predicted = predict(model, frames, None, CPU)

    write_answers(predicted, tmp_path / "out.json")
    write_answers(predicted, tmp_path / "out.csv")

    written = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert {**predicted.as_json()} == written
    assert ("run-1", 3, model_config().sha()) == tuple(
        written[key] for key in ("run", "epoch", "network_sha")
    )
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        header, *lines = csv.reader(file)
    assert [*HEADINGS, "p_1", "p_2", "p_3"] == header
    assert [
        [str(cell) for cell in (scene, *row, *answer["count_probabilities"])]
        for scene, answer in enumerate(predicted.answers)
        for row in rows(answer)
    ] == lines


def test_a_file_that_exists_is_never_written_over(
    model: str, frames: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out.json").write_text("precious", encoding="utf-8")
    found = predict(model, frames, None, CPU)

    with pytest.raises(InvalidInput, match=r"out\.json is there already"):
        expect_new(tmp_path / "out.json")
    # Another process may create the file between the two checks.
    monkeypatch.setattr("risexp.core.durable.expect_new", lambda _: None)
    with pytest.raises(InvalidInput, match=r"out\.json is there already"):
        write_answers(found, tmp_path / "out.json")
    assert "precious" == (tmp_path / "out.json").read_text(encoding="utf-8")


def test_frames_are_answered_on_the_device(model: str, frames: Path, device: torch.device) -> None:
    here, there = (predict(model, frames, None, place).answers for place in (CPU, device))

    assert [answer["count"] for answer in here] == [answer["count"] for answer in there]
