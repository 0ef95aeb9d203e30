"""Gradients through the factored covariance: its dense twin's, and finite where those are not."""

from dataclasses import replace

import torch
from torch import Tensor

from risexp.covariance.factored import FactoredCovariance
from risexp.covariance.subspace import gram
from tests.support.dense_covariance import OPERATIONS, Case, make_case, projector, tolerance
from tests.support.looping import for_each
from tests.support.scenes import gaussian, slope, worst

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
