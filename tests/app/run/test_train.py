"""A run whose device is short of memory goes on in pieces of its batches, and says so."""

import io

import pytest
import torch
from rich.console import Console

from risexp.app.run.machine import Machine
from risexp.app.run.train import resume, train
from risexp.config.layers import load_config
from risexp.config.run import RunConfig
from tests.support.device_memory import device_holds
from tests.support.short_runs import SHORT

pytestmark = [pytest.mark.usefixtures("own_home"), pytest.mark.fault("F18")]

CPU = Machine(torch.device("cpu"), threads=1)


def config_of(batch: int = 8) -> RunConfig:
    changes = {**SHORT, "training.batch": batch}
    return load_config(preset="smoke").config.replace(changes)


def test_a_batch_that_does_not_fit_is_cut_into_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    tried, said = device_holds(monkeypatch, 2), io.StringIO()

    finished = train(config_of(), CPU, Console(file=said))

    assert ("complete", "finished") == (finished.outcome.status, finished.outcome.reason)
    assert [8, 4, 2] == list(dict.fromkeys(tried))
    assert finished.calibration is not None
    assert 1 == finished.folder.config().training.accumulation
    assert [f"going on in {pieces} pieces" in said.getvalue() for pieces in (2, 4, 8)] == [
        True,
        True,
        False,
    ]


def test_a_run_too_large_for_its_device_ends_with_the_reason_and_can_be_resumed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        tried = device_holds(patch, 0)
        finished = train(config_of(12).replace({"training.scenes_per_epoch": 24}), CPU, _quiet())

    assert [12, 6, 3] == tried
    assert ("aborted", "out-of-memory") == (finished.outcome.status, finished.outcome.reason)
    assert finished.outcome == finished.folder.outcome()
    assert "in 4 pieces: lower network.width or training.batch" in finished.outcome.sentence

    tried = device_holds(monkeypatch, 6)
    again = resume(finished.folder.run_id, CPU, _quiet())

    assert "complete" == again.outcome.status
    assert [12, 6] == list(dict.fromkeys(tried))


def _quiet() -> Console:
    return Console(quiet=True)
