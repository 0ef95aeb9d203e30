"""The Gaussian around a peak against determinants and inverses."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from risexp.estimation.fit import Gaussian
from tests.support.looping import for_each
from tests.support.scenes import gaussian, uniform, worst

EXTENT = (1.7, 1.0, 1.9)


def informed(count: int, extra: int, seed: int, scale: float = 1e6) -> Tensor:
    """Information that leaves no question open, (4, P, P)."""
    size = 3 * count + extra
    root = gaussian(4, size, 2 * size, seed=seed).real
    return scale * root @ root.mT


@given(count=st.integers(1, 4), extra=st.integers(0, 4), seed=st.integers(0, 2**31))
def test_volume_and_spread_are_those_of_the_information(count: int, extra: int, seed: int) -> None:
    information = informed(count, extra, seed)
    size = information.shape[-1]
    slope = uniform(-1.0, 1.0, 4, size, seed=seed)
    rho = uniform(0.1, 2.0, 4, count, seed=seed + 1)
    covariance = torch.linalg.inv(information)
    along = slice(2 * count, 3 * count)

    shape = Gaussian.of(information, slope, rho, EXTENT)

    volume = 0.5 * size * math.log(2.0 * math.pi) - 0.5 * torch.logdet(information)
    variance = covariance.diagonal(dim1=-2, dim2=-1)
    step = (covariance @ slope.unsqueeze(-1)).squeeze(-1)[:, along]
    assert float((volume - shape.log_volume).abs().max()) < 1e-2
    assert worst(variance, shape.variance) < 1e-2
    assert worst(variance[:, along].sqrt(), shape.rho_spread) < 1e-2
    assert float((rho + step - shape.rho_mean).abs().max()) < 1e-2 * float(step.abs().max())


def test_where_nothing_is_known_the_volume_is_that_of_the_view() -> None:
    """Up to what a Gaussian of the same variance weighs more than a box."""
    nothing = torch.zeros(1, 3, 3, dtype=torch.float64)

    shape = Gaussian.of(nothing, nothing[:, 0], torch.ones(1, 1), EXTENT)

    box = math.log(EXTENT[0] * EXTENT[1])
    along_rho = math.log(math.sqrt(2.0 * math.pi) * float(shape.rho_spread))
    more = math.log(2.0 * math.pi / 12.0)
    assert pytest.approx(box + more + along_rho, abs=1e-6) == float(shape.log_volume)
    assert float(shape.rho_spread) > EXTENT[2]
    assert 1.0 == float(shape.rho_mean)


@for_each("scale", [1e-12, 1.0, 1e12])
def test_twins_nobody_can_tell_apart_leave_finite_numbers(scale: float) -> None:
    row = uniform(-1.0, 1.0, 4, 1, 3, seed=1)
    twin = torch.cat([row, row], dim=-1)[..., [0, 3, 1, 4, 2, 5]]
    information = scale * twin.mT @ twin

    shape = Gaussian.of(information, uniform(-1.0, 1.0, 4, 6), torch.ones(4, 2), EXTENT)

    for value in (shape.log_volume, shape.rho_mean, shape.rho_spread, shape.variance):
        assert bool(value.isfinite().all())
    assert bool((shape.rho_spread > 0.0).all())


def test_a_mean_never_runs_further_than_the_view_is_wide() -> None:
    flat = torch.eye(3, dtype=torch.float64).unsqueeze(0) * 1e-3
    steep = torch.tensor([[0.0, 0.0, 1e9]], dtype=torch.float64)

    shape = Gaussian.of(flat, steep, torch.ones(1, 1), EXTENT)

    assert pytest.approx(1.0 + EXTENT[2]) == float(shape.rho_mean)


def test_no_source_has_no_volume() -> None:
    empty = torch.zeros(3, 0, dtype=torch.float64)

    shape = Gaussian.of(empty.unsqueeze(-1), empty, empty, EXTENT)

    assert [0.0, 0.0, 0.0] == shape.log_volume.tolist()
    assert (3, 0) == tuple(shape.rho_spread.shape)
