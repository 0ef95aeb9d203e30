"""Once: the NMSE of the truth was about 1: it was a similarity."""

import io
from pathlib import Path

import pytest
import torch
from rich.console import Console
from torch import Tensor

from risexp.app.run.machine import Machine
from risexp.app.run.train import train
from risexp.config.layers import load_config
from risexp.covariance.factored import FactoredCovariance
from risexp.errors import VerificationFailed
from risexp.loss.self_test import nmse_self_test
from tests.support.scenes import label_covariance, tiny_scenes


def similarity(one: FactoredCovariance, other: FactoredCovariance) -> Tensor:
    """<R1, R2> / (|R1| |R2|): one for the truth."""
    inner = one.squared_norm() + other.squared_norm() - one.squared_distance(other)
    return 0.5 * inner / (one.squared_norm() * other.squared_norm()).sqrt().clamp(min=1e-300)


def over_its_own_norm(one: FactoredCovariance, other: FactoredCovariance) -> Tensor:
    """|R1 - R2|^2 / |R1|^2: right for the truth, without bound for an answer of nothing."""
    return one.squared_distance(other) / one.squared_norm().clamp(min=1e-300)


def not_normalised(one: FactoredCovariance, other: FactoredCovariance) -> Tensor:
    return one.squared_distance(other)


def test_nmse_is_zero_for_the_truth_and_one_for_nothing(device: torch.device) -> None:
    nmse_self_test(label_covariance(tiny_scenes(32, device=device)))


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (similarity, r"nmse\(R, R\) is off by 1 where 0 is due"),
        (over_its_own_norm, r"nmse\(0, R\) is off by .* where 1 is due"),
        (not_normalised, r"nmse\(0, R\) is off by .* where 1 is due"),
    ],
)
def test_what_is_no_error_is_reported(
    device: torch.device, monkeypatch: pytest.MonkeyPatch, fault: object, said: str
) -> None:
    monkeypatch.setattr(FactoredCovariance, "nmse", fault)

    with pytest.raises(VerificationFailed, match=said):
        nmse_self_test(label_covariance(tiny_scenes(8, device=device)))


def test_a_run_with_a_similarity_for_its_error_does_not_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path))
    monkeypatch.setattr(FactoredCovariance, "nmse", similarity)
    config = load_config(preset="smoke").config

    with pytest.raises(VerificationFailed, match=r"nmse\(R, R\) is off by 1") as caught:
        train(config, Machine(torch.device("cpu"), threads=1), Console(file=io.StringIO()))

    assert 4 == caught.value.exit_code
    assert [] == list(tmp_path.iterdir())
