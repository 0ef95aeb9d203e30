import math

import pytest
import torch

from risexp.config.measurement import CovarianceConfig
from risexp.covariance.effective import effective
from risexp.covariance.factored import FactoredCovariance
from risexp.physics.steering import steering_vector
from tests.support.looping import for_each
from tests.support.scenes import gaussian, panel


def covariance(scale: float = 1.0, *, device: torch.device | str = "cpu") -> FactoredCovariance:
    factor = gaussian(3, 24, 5).to(device, torch.complex64) * scale
    return FactoredCovariance.from_factor(factor)


SCALES = [10.0**power for power in (-19, -17, -15, -12, -9, -6, -3, 0, 3, 6, 9, 12, 15, 18)]


@for_each("scale", SCALES)
def test_what_a_factor_says_does_not_depend_on_its_scale(
    device: torch.device, scale: float
) -> None:
    label = covariance(device=device).trace_normalize()
    factor = covariance(scale, device=device).factor.requires_grad_()

    nmse = effective(FactoredCovariance.from_factor(factor), snr_db(device)).nmse(label)

    (gradient,) = torch.autograd.grad(nmse.sum(), factor)
    whole = covariance(device=device)
    unscaled = effective(whole, snr_db(device)).nmse(label)
    assert bool(gradient.isfinite().all())
    if scale > 1e-18:
        assert torch.allclose(unscaled, nmse.detach(), rtol=1e-4, atol=1e-9)


@for_each("scale", SCALES)
def test_music_and_its_gradient_are_finite_at_any_scale(device: torch.device, scale: float) -> None:
    steering = gaussian(24, 7, seed=5).to(device, torch.complex64)
    factor = covariance(scale, device=device).factor.requires_grad_()

    spectrum = FactoredCovariance.from_factor(factor).music(steering, 3)

    (gradient,) = torch.autograd.grad(spectrum.sum(), factor)
    expected = covariance(device=device).music(steering, 3)
    assert torch.allclose(expected, spectrum.detach(), rtol=1e-3)
    assert bool(gradient.isfinite().all())


def snr_db(device: torch.device) -> torch.Tensor:
    return torch.tensor([-5.0, 5.0, 20.0], device=device)


@for_each("points", [3, 40, 900])
@for_each("own_grids", [False, True])
def test_mvdr_is_right_where_all_of_the_grid_is_near_sources(
    device: torch.device, points: int, own_grids: bool
) -> None:
    """Few points are taken again one by one, many all at once: both against a dense inverse."""
    u = torch.tensor([0.1, -0.3, 0.4], device=device)
    sources = steering_vector(panel(), u, 0.2 * u, torch.full_like(u, 0.3)).to(torch.complex64)
    powers = torch.tensor([[4.0, 1.0, 0.2]], device=device).expand(2, -1)
    seen = FactoredCovariance.from_sources(sources.expand(2, -1, -1), powers)
    loaded = seen.trace_normalize().regularise(1e-3)
    offsets = 0.01 * torch.arange(points, device=device) / points
    close = u[0] + torch.cat([offsets[:1] * 0.0, offsets[1:]])
    grid = steering_vector(panel(), close, 0.2 * close, torch.full_like(close, 0.3)).mT
    grid = grid.contiguous().to(torch.complex64)
    steering = torch.stack([grid, grid.flip(-1)]) if own_grids else grid

    found = loaded.mvdr(steering)

    wide = torch.linalg.inv(loaded.dense().to(torch.complex128))
    a = steering.to(torch.complex128).expand(2, -1, -1)
    expected = 1.0 / (a.conj() * (wide @ a)).sum(-2).real
    assert float(((found - expected) / expected).abs().max()) < 1e-4


def test_no_scene_and_no_point_give_nothing_and_raise_nothing(device: torch.device) -> None:
    loaded = covariance(device=device).trace_normalize().regularise(0.1)
    steering = gaussian(24, 7, seed=5).to(device, torch.complex64)

    assert (0, 7) == loaded[:0].mvdr(steering).shape
    assert (0, 7) == loaded[:0].music(steering, 3).shape
    assert (3, 0) == loaded.mvdr(steering[:, :0]).shape


def test_a_power_that_is_no_power_stays_visible(device: torch.device) -> None:
    steering = gaussian(1, 2, 6).to(device, torch.complex64)

    for power in (math.nan, -1.0):
        powers = torch.tensor([[1.0, power]], device=device)
        assert bool(FactoredCovariance.from_sources(steering, powers).factor.isnan().any())


def test_one_value_a_scene_or_an_error() -> None:
    whole = covariance().trace_normalize()

    with pytest.raises(ValueError, match=r"a factor \(B, N, q\) goes with a diagonal \(B,\)"):
        FactoredCovariance(whole.factor, whole.diagonal.unsqueeze(-1))
    with pytest.raises(ValueError, match="values go with 3 scenes"):
        whole.regularise(torch.full((3, 1), 0.1))
    with pytest.raises(ValueError, match="values go with 3 scenes"):
        whole.blend(whole, torch.full((1,), 0.1))
    with pytest.raises(ValueError, match="values go with 3 scenes"):
        whole.nmse(whole[:1])
    with pytest.raises(ValueError, match=r"a share of 1.5 lies outside \[0, 1\]"):
        whole.blend(whole, 1.5)


def test_the_default_slope_of_alpha_is_that_of_the_configuration() -> None:
    whole, levels = covariance(), torch.tensor([-5.0, 5.0, 20.0])

    configured = effective(whole, levels, alpha_base=CovarianceConfig().alpha_base)

    assert torch.equal(configured.diagonal, effective(whole, levels).diagonal)
