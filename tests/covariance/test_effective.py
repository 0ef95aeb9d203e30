"""The one effective covariance: normalised, blended, regularised by each scene's own SNR."""

import pytest
import torch
from torch import Tensor

from risexp.covariance.effective import alpha, effective
from risexp.covariance.factored import FactoredCovariance
from risexp.data.frames import Scenes
from tests.support.scenes import (
    gaussian,
    label_covariance,
    matrix,
    tiny_scenes,
    uniform,
    worst,
)


def snr_of(scenes: Scenes) -> Tensor:
    assert scenes.frames.snr_db is not None
    return scenes.frames.snr_db


def normalised(entries: Tensor) -> Tensor:
    trace = entries.diagonal(dim1=-2, dim2=-1).sum(-1).real
    return entries * (entries.shape[-1] / trace)[:, None, None]


def test_alpha_follows_each_scene_and_is_clipped_at_a_quarter() -> None:
    snr_db = torch.tensor([-60.0, -20.0, 0.0, 20.0, 200.0], dtype=torch.float64)

    assert pytest.approx([0.25, 0.011, 0.002, 0.0011, 0.001]) == alpha(snr_db, 1e-3).tolist()
    assert [1e-3] * 5 == pytest.approx(alpha(snr_db, base=0.0).tolist())
    assert [0.25, 0.25, 0.25] == alpha(snr_db[:3], base=1.0).tolist()


def test_a_perfect_prediction_scores_zero_in_whatever_form_it_comes(device: torch.device) -> None:
    scenes = tiny_scenes(64, device=device)
    label = label_covariance(scenes)
    rotation = torch.linalg.qr(gaussian(5, 5))[0].to(label.factor)
    # The same matrix at another scale, from another factor with columns to spare.
    factor = 30.0 * torch.cat([label.factor @ rotation, 0.0 * label.factor], dim=-1)
    predicted = FactoredCovariance.from_factor(factor)
    snr_db = snr_of(scenes)

    score = effective(predicted, snr_db).nmse(effective(label, snr_db))

    assert float(score.abs().max()) < 1e-9


def test_effective_is_normalise_blend_normalise_regularise(device: torch.device) -> None:
    predicted = FactoredCovariance(gaussian(3, 8, 2).to(device), uniform(0.0, 1.0, 3).to(device))
    sampled = FactoredCovariance.from_factor(1e-4 * gaussian(3, 8, 4, seed=2).to(device))
    snr_db = torch.tensor([-5.0, 5.0, 20.0], dtype=torch.float64, device=device)
    beta = torch.tensor([0.0, 0.3, 1.0], dtype=torch.float64, device=device)
    share = (1e-3 + 0.05 * 10 ** (-snr_db / 20))[:, None, None]
    mix = beta[:, None, None]
    blended = (1 - mix) * normalised(matrix(predicted)) + mix * normalised(matrix(sampled))
    expected = (1 - share) * normalised(blended) + share * torch.eye(8, device=device)

    actual = effective(predicted, snr_db, sampled, beta, alpha_base=0.05)

    assert worst(expected, matrix(actual)) < 1e-12
