"""The eigenvalues of the loss: padded beyond the rank, and NaN where nothing is known."""

from dataclasses import replace

import torch

from risexp.loss.spectrum import leading, sound_scenes
from tests.support.predictions import small_target
from tests.support.scenes import worst


def test_beyond_the_rank_every_eigenvalue_is_the_diagonal(device: torch.device) -> None:
    covariance = small_target(device=device).effective

    values = leading(covariance, 9)

    assert (len(covariance), 9) == tuple(values.shape)
    assert worst(covariance.diagonal.double().unsqueeze(-1).expand(-1, 4), values[:, 5:]) < 1e-12


def test_fewer_are_given_where_fewer_are_wanted(device: torch.device) -> None:
    covariance = small_target(device=device).effective

    assert torch.equal(leading(covariance, 6)[:, :2], leading(covariance, 2))


def test_a_scene_that_is_not_finite_has_nan_for_eigenvalues(device: torch.device) -> None:
    covariance = small_target(4, device=device).effective
    factor = covariance.factor.clone()
    factor[1, 3, 0] = torch.nan
    broken = replace(covariance, factor=factor)

    values = leading(broken, 3)

    assert [False, True, False, False] == values.isnan().all(-1).tolist()
    assert [True, False, True, True] == sound_scenes(broken)[1].tolist()
    assert torch.equal(leading(covariance, 3)[2:], values[2:])


def test_an_infinite_diagonal_is_not_sound(device: torch.device) -> None:
    covariance = small_target(2, device=device).effective
    diagonal = torch.tensor([1.0, torch.inf], device=device)

    assert [True, False] == sound_scenes(replace(covariance, diagonal=diagonal))[1].tolist()
