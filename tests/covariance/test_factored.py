"""The factored covariance against its dense twin, operation by operation."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from risexp.config.measurement import PhysicsConfig
from risexp.covariance.factored import FactoredCovariance
from risexp.covariance.sampled import Method
from risexp.data.scenes import panel_of
from risexp.physics.geometry import direction_cosines
from risexp.physics.steering import steering_vector
from tests.support.dense_covariance import (
    OPERATIONS,
    Case,
    Dense,
    deviation,
    drawn_factor,
    make_case,
    tolerance,
)
from tests.support.looping import for_each
from tests.support.scenes import (
    any_device,
    gaussian,
    matrix,
    physical_covariance,
    tiny_scenes,
    worst,
)

DTYPES = (torch.complex128, torch.complex64)


@pytest.mark.parametrize("operation", OPERATIONS)
@any_device
@given(
    elements=st.integers(2, 24),
    columns=st.integers(1, 30),
    seed=st.integers(0, 2**31),
    collapsed=st.booleans(),
    dtype=st.sampled_from(DTYPES),
)
def test_every_operation_does_what_its_dense_twin_does(
    *,
    device: torch.device,
    operation: str,
    elements: int,
    columns: int,
    seed: int,
    collapsed: bool,
    dtype: torch.dtype,
) -> None:
    factor = drawn_factor(elements, columns, seed, collapsed=collapsed).to(device, dtype)
    case = make_case(factor, seed)

    expected, actual = OPERATIONS[operation](case.dense()), OPERATIONS[operation](case)

    assert deviation(operation, expected, actual) < tolerance(operation, dtype)


@for_each("dtype", DTYPES)
@for_each(("elements", "columns"), [(144, 26), (80, 100)])
def test_large_panels_do_what_their_dense_twins_do(
    device: torch.device, elements: int, columns: int, dtype: torch.dtype
) -> None:
    factor = drawn_factor(elements, columns, seed=8, collapsed=True).to(device, dtype)
    case = make_case(factor, seed=9)
    dense = case.dense()

    for name, operation in OPERATIONS.items():
        assert deviation(name, operation(dense), operation(case)) < tolerance(name, dtype)


@for_each("method", ["joint", "per_snapshot"])
@for_each("side", [12, 16])
def test_spectra_of_physical_scenes_are_right_at_their_very_sources(
    device: torch.device, side: int, method: Method
) -> None:
    physics = PhysicsConfig(elements_h=side, elements_v=side, snapshots=side * side // 8)
    scenes = tiny_scenes(6, physics=physics, device=device)
    covariance = physical_covariance(scenes, physics, method=method)
    phi, theta, range_m = (
        x.nan_to_num(1.0)
        for x in (scenes.truth.phi_rad, scenes.truth.theta_rad, scenes.truth.range_m)
    )
    near = [
        steering_vector(panel_of(physics), u.float(), v.float(), range_m.reciprocal().float())
        for offset in (0.0, 1e-4, 1e-3, 1e-2, 1e-1)
        for u, v in [direction_cosines(phi + offset, theta - offset)]
    ]
    case = Case(covariance, None, torch.cat(near, 1).mT, scenes.truth.count, covariance.diagonal)
    dense = Dense(matrix(covariance))
    steering = case.steering.to(torch.complex128)

    assert deviation("mvdr", dense.mvdr(steering), OPERATIONS["mvdr"](case)) < 1e-4
    expected = dense.music(steering, case.count)
    assert deviation("music", expected, OPERATIONS["music"](case)) < 1e-5
    assert worst(dense.eigenvalues()[:, :5], covariance.eigenvalues()[:, :5]) < 1e-12


def test_from_sources_sums_power_times_outer_products(device: torch.device) -> None:
    steering = gaussian(2, 3, 7).to(device)
    powers = torch.tensor([[0.5, 2.0, 0.0], [1e-6, 3.0, 0.25]], dtype=torch.float64, device=device)
    expected = torch.einsum("bk,bkn,bkm->bnm", powers.to(steering), steering, steering.conj())

    covariance = FactoredCovariance.from_sources(steering, powers)

    assert worst(expected, matrix(covariance)) < 1e-14


def test_a_zero_covariance_becomes_the_identity_and_its_neighbour_does_not(
    device: torch.device,
) -> None:
    factor = gaussian(2, 6, 2).to(device)
    factor[0] = 0.0

    normal = FactoredCovariance.from_factor(factor).trace_normalize()

    assert torch.equal(torch.eye(6), matrix(normal)[0].cpu().real.float())
    assert pytest.approx(6.0) == float(normal.trace()[1])
    assert [1.0, 0.0] == normal.diagonal.tolist()


def test_columns_beyond_count_or_rank_are_zero_and_the_others_orthonormal(
    device: torch.device,
) -> None:
    factor = drawn_factor(9, 5, seed=3, collapsed=True).to(device)
    covariance = FactoredCovariance.from_factor(factor)

    basis = covariance.signal_subspace(torch.tensor([2, 5], device=device))

    expected = torch.diag_embed(torch.tensor([[1.0, 1, 0, 0, 0], [1, 1, 1, 0, 0]]).double())
    assert worst(expected, (basis.mH @ basis).cpu()) < 1e-12


@for_each("dtype", DTYPES)
def test_a_grid_shared_by_all_scenes_is_met_as_if_each_had_its_own(
    device: torch.device, dtype: torch.dtype
) -> None:
    case = make_case(gaussian(2, 20, 4).to(device, dtype), seed=1)
    grid = torch.cat([case.steering[0], gaussian(20, 600).to(case.steering)], dim=-1)
    twin, wide = case.dense().one, grid.to(torch.complex128).expand(2, -1, -1)
    twos = torch.full((2,), 2, device=device)

    music, mvdr = case.one.music(grid, 2), case.one.mvdr(grid)

    assert deviation("music", twin.music(wide, twos), music) < tolerance("music", dtype)
    assert deviation("mvdr", twin.mvdr(wide), mvdr) < tolerance("mvdr", dtype)


def test_the_distance_of_near_neighbours_survives_its_cancellation(device: torch.device) -> None:
    near = FactoredCovariance.from_factor(gaussian(2, 144, 10).to(device))
    far = FactoredCovariance.from_factor(near.factor * (1 + 1e-5) ** 0.5)

    assert pytest.approx([1e-10, 1e-10], rel=1e-4) == far.nmse(near).tolist()
    assert near.nmse(near).abs().max() < 1e-15


def test_mvdr_of_a_singular_covariance_is_refused(device: torch.device) -> None:
    factor = gaussian(2, 6, 2).to(device)
    diagonal = torch.tensor([0.1, 0.0], dtype=torch.float64, device=device)

    with pytest.raises(ValueError, match="regularise"):
        FactoredCovariance(factor, diagonal).mvdr(gaussian(6, 3).to(device))


@pytest.mark.parametrize("fault", [1.001, float("nan")])
def test_eigenvectors_that_are_not_orthonormal_are_reported(
    device: torch.device, monkeypatch: pytest.MonkeyPatch, fault: float
) -> None:
    case = make_case(gaussian(2, 9, 4).to(device), seed=1)
    healthy = torch.linalg.eigh

    def defective(gram: Tensor) -> tuple[Tensor, Tensor]:
        values, vectors = healthy(gram)
        return values, vectors * fault

    monkeypatch.setattr(torch.linalg, "eigh", defective)

    with pytest.raises(ArithmeticError, match="not orthonormal"):
        case.one.music(case.steering, 2)
