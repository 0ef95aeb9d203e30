"""The one effective covariance: normalised, blended, regularised by each scene's own SNR."""

import math

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
    physical_covariance,
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

    share = alpha(snr_db, base=1e-3)

    assert pytest.approx([0.25, 0.011, 0.002, 0.0011, 0.001]) == share.tolist()


def test_alpha_grows_with_its_base_up_to_the_clip() -> None:
    snr_db = torch.tensor([0.0, 6.0], dtype=torch.float64)

    assert pytest.approx([1e-3, 1e-3]) == alpha(snr_db, base=0.0).tolist()
    assert pytest.approx([0.101, 1e-3 + 0.1 * 10**-0.3]) == alpha(snr_db, base=0.1).tolist()
    assert pytest.approx([0.25, 0.25]) == alpha(snr_db, base=1.0).tolist()


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


def test_samples_at_beta_zero_change_nothing(device: torch.device) -> None:
    scenes = tiny_scenes(8, device=device)
    plain = effective(label_covariance(scenes), snr_of(scenes))

    blended = physical_covariance(scenes, beta=0.0)

    assert worst(matrix(plain), matrix(blended)) < 1e-6


def test_samples_above_beta_zero_move_the_covariance_by_beta(device: torch.device) -> None:
    scenes = tiny_scenes(8, device=device)
    plain, all_sampled, blended = (physical_covariance(scenes, beta=b) for b in (0.0, 1.0, 0.3))

    moved = blended.squared_distance(plain).sqrt()

    assert worst(0.3 * all_sampled.squared_distance(plain).sqrt(), moved) < 1e-5
    assert float(moved.min()) > 1.0


def test_a_zero_prediction_is_scored_as_the_identity(device: torch.device) -> None:
    zero = FactoredCovariance.from_factor(
        torch.zeros(1, 16, 2, dtype=torch.complex64, device=device)
    )
    label = FactoredCovariance.from_factor(gaussian(1, 16, 1).to(device, torch.complex64))
    snr_db = torch.tensor([math.inf], device=device)

    score = effective(zero, snr_db).nmse(effective(label, snr_db))

    # |I - R|^2 / |R|^2 with R of rank one and trace N, shrunk by a thousandth.
    shrunk = 0.999**2 * (16**2 - 16)
    assert pytest.approx(shrunk / (shrunk + 16), rel=1e-5) == float(score)
