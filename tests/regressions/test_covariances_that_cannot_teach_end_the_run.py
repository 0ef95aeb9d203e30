"""Museum 10 and 17: a covariance error of 1e25 or of 0, or without a gradient, and the run went on.

Planted in the parts of a whole run, so that each check is shown to be asked in one.
"""

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console

from risexp.app.run.machine import Machine
from risexp.app.run.train import train
from risexp.config.layers import load_config
from risexp.covariance.effective import effective
from risexp.covariance.factored import FactoredCovariance
from risexp.loss import weighting as weighted
from risexp.loss.terms import TERMS
from risexp.runs.journal import read_journal
from risexp.runs.outcome import Outcome

TINY = {
    "training.epochs": 2,
    "training.scenes_per_epoch": 64,
    "training.batch": 32,
    "validation.scenes": 16,
    "validation.calibration_scenes": 16,
}
Effective = Callable[..., FactoredCovariance]


@pytest.fixture
def outcome(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Outcome]:
    """How a short run ends, with whatever is planted by then."""
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path))
    config = load_config(preset="smoke").config.replace(TINY)
    machine = Machine(torch.device("cpu"), threads=1)
    return lambda: train(config, machine, Console(file=io.StringIO())).outcome


def blended(changed: Callable[[FactoredCovariance], FactoredCovariance]) -> Effective:
    """What a network scores itself by, after a change."""
    return lambda *given, **named: changed(effective(*given, **named))


def normalised_twice(covariance: FactoredCovariance) -> FactoredCovariance:
    scale = float(covariance.elements)
    return replace(
        covariance, factor=covariance.factor * scale**0.5, diagonal=covariance.diagonal * scale
    )


def test_a_sound_run_is_not_ended(outcome: Callable[[], Outcome]) -> None:
    ended = outcome()

    assert ("finished", 0) == (ended.reason, ended.exit_code)


def test_a_blend_that_was_detached_ends_the_run_in_its_first_batch(
    outcome: Callable[[], Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("risexp.model.network.effective", blended(FactoredCovariance.detach))

    ended = outcome()

    assert ("aborted", "blend", 4) == (ended.status, ended.reason, ended.exit_code)
    assert ended.sentence.startswith("epoch 1: the effective covariance has no gradient")
    (journal,) = tmp_path.glob("mlruns/runs/*/journal.jsonl")
    assert () == read_journal(journal).rows


def test_a_normalisation_that_was_doubled_ends_the_run(
    outcome: Callable[[], Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("risexp.model.network.effective", blended(normalised_twice))

    ended = outcome()

    assert ("aborted", "covariance", 4) == (ended.status, ended.reason, ended.exit_code)
    assert "an NMSE under training lies between 0 and 100; look at how" in ended.sentence
    (journal,) = tmp_path.glob("mlruns/runs/*/journal.jsonl")
    (row,) = read_journal(journal).rows
    assert 100.0 < row.values["loss/cov"]
    assert 1.0 == row.values["guard/covariance"]


def test_an_error_that_is_zero_whatever_is_answered_ends_the_run(
    outcome: Callable[[], Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    swallowed = {**TERMS, "cov": lambda pair: 0.0 * TERMS["cov"](pair)}
    monkeypatch.setattr(weighted, "TERMS", swallowed)

    ended = outcome()

    assert ("covariance", 4) == (ended.reason, ended.exit_code)
    assert ended.sentence.startswith("epoch 1: cov is 0,")
