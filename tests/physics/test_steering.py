"""The steering function against the formulas it stands for, written plainly in float64."""

import math
from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from risexp.physics.geometry import Panel, Wavefront, direction_cosines
from risexp.physics.steering import steering_slopes, steering_vector
from tests.support.looping import for_each
from tests.support.scenes import any_device, field_of_view, gaussian, panel, slope, uniform, worst

WAVEFRONTS: tuple[Wavefront, ...] = get_args(Wavefront)


def plain_phase(shape: Panel, u: Tensor, v: Tensor, range_m: Tensor) -> Tensor:
    """Phases (B, N) as the textbook has them, without a thought for cancellation."""
    h, w = shape.positions(u.dtype)
    u, v, range_m = u[..., None], v[..., None], range_m[..., None]
    along = h * u + w * v
    if shape.wavefront == "fresnel":
        return shape.wavenumber * (along - (h**2 + w**2 - along**2) / (2 * range_m))
    if shape.wavefront == "parabolic":
        return shape.wavenumber * (along - (h**2 + w**2) / (2 * range_m))
    depth = range_m * (1 - u**2 - v**2).sqrt()
    distance = ((range_m * u - h) ** 2 + (range_m * v - w) ** 2 + depth**2).sqrt()
    return -shape.wavenumber * (distance - range_m)


def plain_steering(shape: Panel, u: Tensor, v: Tensor, range_m: Tensor) -> Tensor:
    phase = plain_phase(shape, u, v, range_m)
    return torch.complex(phase.cos(), phase.sin()) / math.sqrt(shape.elements)


def phase_error(expected: Tensor, actual: Tensor) -> float:
    """Largest deviation of an element's unit phasor, in rad for small ones."""
    elements = expected.shape[-1]
    return float((expected - actual.cpu()).abs().max() * math.sqrt(elements))


@pytest.mark.parametrize("wavefront", WAVEFRONTS)
@any_device
@given(
    seed=st.integers(0, 2**31),
    range_m=st.floats(0.5, 10.0) | st.floats(10.0, 1e4),
    size=st.tuples(st.integers(1, 13), st.integers(1, 13)),
)
def test_single_precision_agrees_with_the_plain_formula_in_double(
    device: torch.device, wavefront: Wavefront, seed: int, range_m: float, size: tuple[int, int]
) -> None:
    shape = panel(wavefront, *size)
    u, v = direction_cosines(*field_of_view(40, seed))
    far = torch.full_like(u, range_m)
    single = (x.float().to(device) for x in (u, v, 1.0 / far))

    actual = steering_vector(shape, *single)

    assert actual.dtype == torch.complex64
    assert phase_error(plain_steering(shape, u, v, far), actual) < 2e-5


def test_the_plain_difference_in_single_precision_would_not_pass() -> None:
    u, v = direction_cosines(*field_of_view(1000))
    far = torch.full_like(u, 100.0)

    naive = plain_steering(panel(), u.float(), v.float(), far.float())

    assert phase_error(plain_steering(panel(), u, v, far), naive) > 1e-4


@for_each("wavefront", WAVEFRONTS)
def test_rho_zero_is_the_plane_wave_that_growing_ranges_approach(
    device: torch.device, wavefront: Wavefront
) -> None:
    shape = panel(wavefront)
    u, v = (x.to(device) for x in direction_cosines(*field_of_view(100)))
    h, w = shape.positions(device=device)
    phase = shape.wavenumber * (h * u[:, None] + w * v[:, None])
    plane = torch.polar(torch.full_like(phase, 1 / 12), phase)

    at_zero = steering_vector(shape, u, v, torch.zeros_like(u))
    gaps = [
        worst(plane, steering_vector(shape, u, v, torch.full_like(u, rho))) for rho in (1e-4, 1e-6)
    ]

    assert worst(plane, at_zero) < 1e-12
    assert gaps[0] < 5e-3
    assert pytest.approx(gaps[0] / 100, rel=0.01) == gaps[1]


def test_batch_shape_is_kept(device: torch.device) -> None:
    u, v, rho = (uniform(0.1, 0.5, 2, 3, 4, seed=seed).to(device) for seed in range(3))

    a = steering_vector(panel(elements_h=3, elements_v=5), u, v, rho)
    one = steering_vector(panel(elements_h=3, elements_v=5), u[1, 2, 3], v[1, 2, 3], rho[1, 2, 3])

    assert (2, 3, 4, 15) == a.shape
    assert worst(one, a[1, 2, 3]) < 1e-15


@for_each("wavefront", WAVEFRONTS)
def test_slopes_are_the_derivatives_of_the_plain_formula(wavefront: Wavefront) -> None:
    shape = panel(wavefront, 12, 9)
    u, v = direction_cosines(*field_of_view(20))
    rho = 1.0 / uniform(0.5, 10.0, 20)

    def response(along_u: float, along_v: float, along_rho: float) -> Tensor:
        return plain_steering(shape, u + along_u, v + along_v, 1.0 / (rho + along_rho))

    expected = [
        slope(lambda step: response(step, 0.0, 0.0)),
        slope(lambda step: response(0.0, step, 0.0)),
        slope(lambda step: response(0.0, 0.0, step)),
    ]

    a, *slopes = steering_slopes(shape, u, v, rho)

    assert worst(response(0.0, 0.0, 0.0), a) < 1e-12
    for plain, each in zip(expected, slopes, strict=True):
        assert worst(plain, each) < 1e-8


@for_each("rho", [0.0, 0.4, 2.0])
@for_each("wavefront", WAVEFRONTS)
def test_gradients_through_the_steering_vector_are_its_slopes(
    device: torch.device, wavefront: Wavefront, rho: float
) -> None:
    point = [torch.tensor(x, dtype=torch.float64, device=device) for x in (0.3, -0.2, rho)]
    weights = gaussian(144).to(device)
    _, *slopes = steering_slopes(panel(wavefront), *point)
    expected = [(weights.conj() * each).real.sum() for each in slopes]

    leaves = [x.requires_grad_() for x in point]
    value = (weights.conj() * steering_vector(panel(wavefront), *leaves)).real.sum()

    assert worst(torch.stack(expected), torch.stack(torch.autograd.grad(value, leaves))) < 1e-12


def test_a_source_on_an_element_has_finite_slopes(device: torch.device) -> None:
    u = torch.tensor(math.sqrt(0.5), dtype=torch.float64, device=device)
    rho = 1.0 / (0.075 * math.sqrt(2.0)) + torch.zeros_like(u)

    for value in steering_slopes(panel(), u, u, rho):
        assert torch.view_as_real(value).isfinite().all()
