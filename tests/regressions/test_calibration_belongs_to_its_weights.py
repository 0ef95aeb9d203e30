"""Museum 34: calibration was skipped for ever, or fitted on other weights than those it served."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console

from risexp.app.run.machine import Machine
from risexp.app.run.run import calibrate
from risexp.app.run.train import Finished, train
from risexp.app.serving.resolve_model import config_of, load_trained
from risexp.config.layers import load_config
from risexp.runs.journal import read_journal
from risexp.training.checkpoint_store import best

TINY = {
    "training.epochs": 2,
    "training.scenes_per_epoch": 256,
    "training.batch": 32,
    "validation.scenes": 32,
    "validation.calibration_scenes": 256,
}
CPU = torch.device("cpu")


@pytest.fixture
def finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Finished:
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path))
    config = load_config(preset="smoke").config.replace(TINY)
    return train(config, Machine(CPU, threads=1), Console(file=io.StringIO()))


def test_what_serves_is_calibrated_and_on_record(finished: Finished) -> None:
    kept = best(finished.folder.attempts()).checkpoint

    served = load_trained(finished.folder.run_id, CPU).predictor.network
    (told,) = (
        note.details
        for note in read_journal(finished.folder.journal).notes
        if note.event == "calibrated"
    )

    assert kept.temperature is not None
    assert kept.temperature == served.law.temperature == told["temperature"]
    assert {"ece_before", "ece_after", "nll_before", "nll_after"} <= told.keys()


def test_a_temperature_of_other_weights_would_be_another_one(finished: Finished) -> None:
    kept = best(finished.folder.attempts()).checkpoint
    config = config_of(kept)
    other = replace(kept, state=replace(kept.state, averaged=kept.state.weights))

    again, _ = calibrate(kept, config, CPU)
    wrong, _ = calibrate(other, config, CPU)

    assert kept.temperature == again.temperature
    assert kept.temperature != wrong.temperature
