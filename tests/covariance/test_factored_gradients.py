"""Gradients through the factored covariance: its dense twin's, and finite at any scale."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from risexp.config.measurement import CovarianceConfig
from risexp.covariance.effective import effective
from risexp.covariance.factored import FactoredCovariance
from risexp.covariance.subspace import gram
from risexp.physics.steering import steering_vector
from tests.support.dense_covariance import OPERATIONS, Case, make_case, projector, tolerance
from tests.support.looping import for_each
from tests.support.scenes import gaussian, panel, slope, worst

DIFFERENTIABLE = [name for name in OPERATIONS if name != "signal_subspace"]


def weighed(value: Tensor) -> Tensor:
    """A sum whose gradient reaches every entry with a weight of its own."""
    weights = gaussian(*value.shape, seed=99).to(value.device)
    return (weights.conj() * value).real.sum()


def leaf(case: Case) -> tuple[Case, list[Tensor]]:
    """The case with gradients recorded from its first covariance, whose two parts are returned."""
    factor = case.one.factor.clone().requires_grad_()
    diagonal = case.one.diagonal.clone().requires_grad_()
    return replace(case, one=FactoredCovariance(factor, diagonal)), [factor, diagonal]


def gradients(operation: str, case: Case, *, dense: bool = False) -> Tensor:
    """With respect to factor and diagonal, as one real vector."""
    case, leaves = leaf(case)
    value = weighed(OPERATIONS[operation](case.dense() if dense else case))
    found = torch.autograd.grad(value, leaves, allow_unused=True, materialize_grads=True)
    return torch.cat([torch.view_as_real(found[0]).flatten(), found[1]])


@for_each("dtype", [torch.complex128, torch.complex64])
@for_each("operation", DIFFERENTIABLE)
def test_gradients_are_those_of_the_dense_twin(
    device: torch.device, operation: str, dtype: torch.dtype
) -> None:
    case = make_case(gaussian(2, 6, 8).to(device, dtype), seed=3)

    expected, actual = gradients(operation, case, dense=True), gradients(operation, case)

    assert worst(expected, actual) < tolerance(operation, dtype)


@for_each("operation", DIFFERENTIABLE)
def test_gradients_of_thin_factors_are_the_slopes_of_the_values(
    device: torch.device, operation: str
) -> None:
    case = make_case(gaussian(2, 9, 4).to(device), seed=4)
    towards = gaussian(2, 9, 4, seed=7).to(device)

    def along(step: float) -> Tensor:
        moved = replace(case.one, factor=case.one.factor + step * towards)
        return weighed(OPERATIONS[operation](replace(case, one=moved)))

    gradient = gradients(operation, case)[: 2 * towards.numel()]

    assert worst(slope(along), gradient @ torch.view_as_real(towards).flatten()) < 1e-8


def test_the_gram_matrix_passes_on_gradients_that_are_not_hermitian(device: torch.device) -> None:
    factor = gaussian(2, 5, 3).to(device).requires_grad_()

    (expected,) = torch.autograd.grad(weighed(factor.mH @ factor), factor)
    (actual,) = torch.autograd.grad(weighed(gram(factor)), factor)

    assert worst(expected, actual) < 1e-14


def degenerate(kind: str) -> Tensor:
    """A factor (2, 6, 3) on which eigenvectors are not unique."""
    eye = torch.eye(6, 3, dtype=torch.complex128).expand(2, 6, 3).clone()
    match kind:
        case "zero":
            return torch.zeros_like(eye)
        case "equal eigenvalues":
            return eye
        case "equal after rounding":
            rotated: Tensor = torch.linalg.qr(gaussian(2, 6, 3))[0]
            return rotated
        case "one repeated column":
            return torch.cat([eye[..., :1], eye[..., :1], 2.0 * eye[..., 1:2]], dim=-1)
        case _:
            return gaussian(2, 6, 1).repeat(1, 1, 3)


@for_each("dtype", [torch.complex128, torch.complex64])
@for_each(
    "kind",
    [
        "zero",
        "equal eigenvalues",
        "equal after rounding",
        "one repeated column",
        "only repeated columns",
    ],
)
@for_each(("count", "limit"), [(3, 1e4), (1, 1e8)])
@for_each("operation", DIFFERENTIABLE)
def test_gradients_of_degenerate_factors_are_finite_and_moderate(
    *,
    device: torch.device,
    operation: str,
    kind: str,
    dtype: torch.dtype,
    count: int,
    limit: float,
) -> None:
    factor = degenerate(kind).to(device, dtype)
    steering = gaussian(2, 6, 4).to(factor)
    counts = torch.full((2,), count, device=device)
    case = replace(make_case(factor, seed=5), steering=steering, count=counts)

    found = gradients(operation, case)

    assert found.isfinite().all()
    assert found.abs().max() < limit


def test_a_power_of_zero_has_a_finite_gradient(device: torch.device) -> None:
    powers = torch.tensor([[0.5, 0.0]], device=device, requires_grad=True)
    steering = gaussian(1, 2, 6).to(device, torch.complex64)
    label = FactoredCovariance.from_factor(gaussian(1, 6, 2, seed=2).to(device, torch.complex64))

    nmse = FactoredCovariance.from_sources(steering, powers).nmse(label)

    (gradient,) = torch.autograd.grad(nmse, powers)
    assert gradient.isfinite().all()


def test_blend_lets_no_gradient_into_the_samples(device: torch.device) -> None:
    predicted, leaves = leaf(make_case(gaussian(2, 6, 3).to(device), seed=1))
    samples, constants = leaf(make_case(gaussian(2, 6, 4).to(device), seed=2))

    blended = predicted.one.blend(samples.one, 0.4)

    value = blended.squared_norm().sum() + blended.trace().sum()
    found = torch.autograd.grad(value, leaves + constants, allow_unused=True)
    assert [False, False, True, True] == [each is None for each in found]
    for gradient in found[:2]:
        assert gradient.abs().min() > 0.0


def test_signal_subspaces_and_detached_covariances_are_constants(device: torch.device) -> None:
    case, _ = leaf(make_case(gaussian(2, 6, 3).to(device), seed=1))

    assert not case.one.signal_subspace(case.count).requires_grad
    assert not case.one.detach().squared_norm().requires_grad
    assert torch.equal(case.one.squared_norm(), case.one.detach().squared_norm())


def test_music_passes_steering_vectors_their_own_gradient(device: torch.device) -> None:
    case, _ = leaf(make_case(gaussian(2, 9, 4).to(device), seed=1))
    steering = case.steering.clone().requires_grad_()
    residual = steering - projector(case.one.signal_subspace(case.count)) @ steering

    (gradient,) = torch.autograd.grad(case.one.music(steering, case.count).sum(), steering)

    assert worst(2.0 * residual.detach(), gradient) < 1e-9


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
