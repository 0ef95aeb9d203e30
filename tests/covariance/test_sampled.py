"""The sampled covariance against dense ridge solves written from the equations."""

import pytest
import torch
from torch import Tensor

from risexp.config.measurement import DataConfig
from risexp.covariance.sampled import Method, joint_field, sampled_covariance, snapshot_fields
from risexp.data.frames import Frames
from risexp.data.scenes import source_steering
from tests.support.looping import for_each
from tests.support.scenes import DEFAULT_PHYSICS, gaussian, matrix, panel, tiny_scenes, worst

RIDGE = 1e-2
BATCH, SNAPSHOTS, ANTENNAS, ELEMENTS = 19, 16, 16, 144
METHODS = ("joint", "per_snapshot")


def frames(
    device: torch.device, *, codes_of_their_own: bool, dtype: torch.dtype = torch.complex128
) -> Frames:
    shape = (BATCH, SNAPSHOTS, ELEMENTS) if codes_of_their_own else (SNAPSHOTS, ELEMENTS)
    return Frames(
        y=gaussian(BATCH, SNAPSHOTS, ANTENNAS, seed=1).to(device, dtype),
        channel=gaussian(BATCH, ANTENNAS, ELEMENTS, seed=2).to(device, dtype),
        codes=gaussian(*shape, seed=3).sgn().to(device, dtype),
        snr_db=None,
    )


def operators(frames: Frames) -> Tensor:
    """H diag(c_l) of every scene and snapshot, (B, L, M, N) complex128."""
    codes = frames.codes.to(torch.complex128).expand(BATCH, SNAPSHOTS, ELEMENTS)
    return frames.channel.to(torch.complex128).unsqueeze(1) @ torch.diag_embed(codes)


def ridge_solution(operator: Tensor, y: Tensor, equations: int) -> Tensor:
    """(G^H G + a I)^-1 G^H y, where a is the ridge's share of |G|^2 / equations."""
    gram = operator.mH @ operator
    load = RIDGE * operator.abs().square().sum((-2, -1)) / equations
    eye = torch.eye(ELEMENTS, dtype=gram.dtype, device=gram.device)
    seen = operator.mH @ y.to(torch.complex128).unsqueeze(-1)
    solution: Tensor = torch.linalg.solve(gram + load[..., None, None] * eye, seen)
    return solution.squeeze(-1)


@for_each("codes_of_their_own", [False, True])
@for_each(("dtype", "tolerance"), [(torch.complex128, 1e-10), (torch.complex64, 1e-5)])
def test_joint_is_the_ridge_solution_of_all_equations(
    device: torch.device, codes_of_their_own: bool, dtype: torch.dtype, tolerance: float
) -> None:
    given = frames(device, codes_of_their_own=codes_of_their_own, dtype=dtype)
    expected = ridge_solution(operators(given).flatten(1, 2), given.y.flatten(1), ELEMENTS)

    field = joint_field(given.y, given.channel, given.codes, RIDGE)

    assert worst(expected, field) < tolerance


@for_each("codes_of_their_own", [False, True])
@for_each(("dtype", "tolerance"), [(torch.complex128, 1e-10), (torch.complex64, 1e-5)])
def test_per_snapshot_solves_every_snapshot_alone(
    device: torch.device, codes_of_their_own: bool, dtype: torch.dtype, tolerance: float
) -> None:
    given = frames(device, codes_of_their_own=codes_of_their_own, dtype=dtype)
    few = slice(3)
    expected = ridge_solution(operators(given)[few], given.y[few], ANTENNAS)

    fields = snapshot_fields(given.y, given.channel, given.codes, RIDGE)

    assert fields.shape == (BATCH, SNAPSHOTS, ELEMENTS)
    assert worst(expected, fields[few]) < tolerance


def test_the_covariance_is_the_mean_outer_product_of_the_fields(device: torch.device) -> None:
    given = frames(device, codes_of_their_own=False)
    arguments = (given.y, given.channel, given.codes, RIDGE)
    fields = snapshot_fields(*arguments)
    mean = torch.einsum("bln,blm->bnm", fields, fields.conj()) / SNAPSHOTS
    field = joint_field(*arguments)

    joint = sampled_covariance("joint", *arguments)
    per_snapshot = sampled_covariance("per_snapshot", *arguments)

    assert worst(field.unsqueeze(-1) * field.conj().unsqueeze(-2), matrix(joint)) < 1e-12
    assert worst(mean, matrix(per_snapshot)) < 1e-12
    assert joint.factor.shape == (BATCH, ELEMENTS, 1)
    assert per_snapshot.factor.shape == (BATCH, ELEMENTS, SNAPSHOTS)


@for_each("method", METHODS)
@for_each("silent", ["y", "channel"])
def test_scenes_of_zeros_give_zero_and_leave_their_neighbours_alone(
    device: torch.device, method: Method, silent: str
) -> None:
    given = frames(device, codes_of_their_own=False, dtype=torch.complex64)
    before = sampled_covariance(method, given.y, given.channel, given.codes, RIDGE).factor

    getattr(given, silent)[4] = 0.0
    after = sampled_covariance(method, given.y, given.channel, given.codes, RIDGE).factor

    assert torch.count_nonzero(after[4]) == 0
    assert worst(before[5:], after[5:]) < 1e-5


def test_batches_of_different_size_are_refused(device: torch.device) -> None:
    given = frames(device, codes_of_their_own=False)

    with pytest.raises(ValueError, match=r"zip|batch|scenes"):
        joint_field(given.y, given.channel[:1], given.codes, RIDGE)


@for_each(
    ("method", "snr_db", "expected"),
    [
        ("joint", 0.0, 0.45),
        ("joint", 10.0, 0.89),
        ("joint", 20.0, 0.99),
        ("per_snapshot", 0.0, 0.07),
        ("per_snapshot", 10.0, 0.13),
        ("per_snapshot", 20.0, 0.13),
    ],
)
def test_as_much_of_the_energy_lies_in_the_source_subspace_as_was_measured(
    device: torch.device, method: Method, snr_db: float, expected: float
) -> None:
    data = DataConfig(snr_db=(snr_db, snr_db))
    scenes = tiny_scenes(256, physics=DEFAULT_PHYSICS, data=data, device=device)
    given = scenes.frames
    steering = source_steering(panel(), scenes.truth).mT.to(torch.complex128)
    # QR invents a direction for every absent source; those are taken away again.
    basis, _ = torch.linalg.qr(steering)
    basis = basis * scenes.truth.present.unsqueeze(-2)

    factor = sampled_covariance(method, given.y, given.channel, given.codes, ridge=1e-3).factor

    inside = (basis.mH @ factor.to(basis)).abs().square().sum((-2, -1))
    share = inside / factor.abs().square().sum((-2, -1))
    assert pytest.approx(expected, abs=0.02) == float(share.mean())
