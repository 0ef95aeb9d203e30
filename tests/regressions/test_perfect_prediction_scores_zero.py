"""Once: a perfect prediction scored 0.248, because only one side was diagonally loaded."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from risexp.covariance.effective import alpha, effective
from risexp.covariance.factored import FactoredCovariance
from risexp.loss.terms import TERMS
from tests.support.predictions import best_prediction, scored, small_target
from tests.support.scenes import label_covariance, tiny_scenes

Score = Callable[[FactoredCovariance, FactoredCovariance, Tensor], Tensor]


def scored_alike(
    predicted: FactoredCovariance, label: FactoredCovariance, snr_db: Tensor
) -> Tensor:
    return effective(predicted, snr_db).nmse(effective(label, snr_db))


def prediction_loaded(
    predicted: FactoredCovariance, label: FactoredCovariance, snr_db: Tensor
) -> Tensor:
    return effective(predicted, snr_db).nmse(label.trace_normalize())


def label_loaded(
    predicted: FactoredCovariance, label: FactoredCovariance, snr_db: Tensor
) -> Tensor:
    return predicted.trace_normalize().nmse(effective(label, snr_db))


def oracle_floor(score: Score, device: torch.device) -> float:
    """The worst score of labels fed as predictions; the guard allows 1e-9."""
    scenes = tiny_scenes(32, device=device)
    label = label_covariance(scenes)
    assert scenes.frames.snr_db is not None
    return float(score(label, label, scenes.frames.snr_db).abs().max())


def test_labels_as_predictions_score_zero(device: torch.device) -> None:
    assert oracle_floor(scored_alike, device) <= 1e-9


@pytest.mark.parametrize("fault", [prediction_loaded, label_loaded])
def test_a_load_on_one_side_only_is_caught_by_the_oracle(
    device: torch.device, fault: Score
) -> None:
    assert oracle_floor(fault, device) > 1e-7


def test_a_load_left_out_of_the_label_leaves_its_square_as_the_floor(
    device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    def strong(snr_db: Tensor, base: float) -> Tensor:
        return 0.5 * torch.ones_like(alpha(snr_db, base))

    monkeypatch.setattr("risexp.covariance.effective.alpha", strong)

    # Rank one: |R - (R + I) / 2|^2 / |R|^2 = (1 - 1 / N) / 4, the 0.248 of old.
    assert pytest.approx((1 - 1 / 144) / 4, abs=1e-4) == oracle_floor(prediction_loaded, device)
    assert oracle_floor(scored_alike, device) <= 1e-9


@pytest.mark.parametrize("name", ["cov", "cov_pred"])
def test_the_terms_of_the_loss_score_labels_zero(device: torch.device, name: str) -> None:
    target = small_target(device=device)

    assert float(scored(TERMS[name], best_prediction(target), target).abs().max()) <= 1e-9


@pytest.mark.parametrize("name", ["cov", "cov_pred"])
def test_a_load_left_out_of_the_label_is_caught_by_the_terms_of_the_loss(
    device: torch.device, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("risexp.loss.target.effective", lambda label, *_, **__: label)
    target = small_target(device=device)

    assert float(scored(TERMS[name], best_prediction(target), target).max()) > 1e-7
