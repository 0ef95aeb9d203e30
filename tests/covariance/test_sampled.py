"""The sampled covariance against dense ridge solves; information criteria on its eigenvalues."""

import math
from typing import get_args

import numpy as np
import pytest
import torch
from torch import Tensor

from risexp.covariance.factored import FactoredCovariance
from risexp.covariance.sampled import (
    Criterion,
    Method,
    joint_field,
    order,
    order_scores,
    sampled_covariance,
    snapshot_fields,
)
from risexp.data.frames import Frames
from tests.support.looping import for_each
from tests.support.scenes import gaussian, matrix, worst

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

    assert (BATCH, SNAPSHOTS, ELEMENTS) == fields.shape
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
    assert (BATCH, ELEMENTS, 1) == joint.factor.shape
    assert (BATCH, ELEMENTS, SNAPSHOTS) == per_snapshot.factor.shape


@for_each("method", METHODS)
@for_each("silent", ["y", "channel"])
def test_scenes_of_zeros_give_zero_and_leave_their_neighbours_alone(
    device: torch.device, method: Method, silent: str
) -> None:
    given = frames(device, codes_of_their_own=False, dtype=torch.complex64)
    before = sampled_covariance(method, given.y, given.channel, given.codes, RIDGE).factor

    getattr(given, silent)[4] = 0.0
    after = sampled_covariance(method, given.y, given.channel, given.codes, RIDGE).factor

    assert 0 == torch.count_nonzero(after[4])
    assert worst(before[5:], after[5:]) < 1e-5


CRITERIA: tuple[Criterion, ...] = get_args(Criterion)


def ideal_spectrum(elements: int, snapshots: int, sources: int, *, scale: float = 1.0) -> Tensor:
    """Eigenvalues of direct snapshots of orthogonal sources, 20 scenes at 10 dB an element."""
    directions, _ = torch.linalg.qr(gaussian(20, elements, sources, seed=sources))
    symbols = gaussian(20, sources, snapshots, seed=10 + sources)
    noise = gaussian(20, elements, snapshots, seed=20 + sources)
    signal = math.sqrt(10.0 * elements) * directions @ symbols
    snapshots_seen = scale * (signal + noise) / math.sqrt(snapshots)
    return FactoredCovariance.from_factor(snapshots_seen).eigenvalues()


def textbook(criterion: Criterion, values: list[float], snapshots: int, most: int) -> list[float]:
    """The likelihood ratio as a power of a product, as papers print it."""
    p = len(values)
    scores = []
    for k in range(most + 1):
        tail = np.array(values[k:])
        with np.errstate(divide="ignore"):
            likelihood = np.log((np.prod(tail) ** (1 / (p - k)) / tail.mean()) ** (p - k))
        freedom = k * (2 * p - k)
        penalty = freedom * math.log(snapshots) / 2 if criterion == "mdl" else 2 * freedom
        scores.append(-snapshots * likelihood * (1 if criterion == "mdl" else 2) + penalty)
    return scores


@for_each("sources", [1, 3, 5])
@for_each(("elements", "snapshots"), [(144, 16), (16, 64), (8, 200)])
def test_mdl_counts_the_sources_of_ideal_data(
    device: torch.device, elements: int, snapshots: int, sources: int
) -> None:
    eigenvalues = ideal_spectrum(elements, snapshots, sources).to(device)

    count = order("mdl", eigenvalues, snapshots, most=5)

    assert eigenvalues.shape == (20, min(elements, snapshots))
    assert count.tolist() == [sources] * 20


@for_each("criterion", CRITERIA)
def test_scores_agree_with_the_textbook_where_it_does_not_underflow(
    device: torch.device, criterion: Criterion
) -> None:
    values = [[9.0, 4.0, 1.2, 1.0, 0.9], [3.0, 2.5, 2.0, 0.4, 0.3]]

    scores = order_scores(criterion, torch.tensor(values, device=device), snapshots=50, most=3)

    for expected, actual in zip(values, scores.tolist(), strict=True):
        assert pytest.approx(textbook(criterion, expected, 50, most=3), rel=1e-6) == actual


@for_each("criterion", CRITERIA)
def test_what_shows_no_noise_or_no_number_has_no_order(
    device: torch.device, criterion: Criterion
) -> None:
    alone = torch.tensor([[3.7], [0.0]], device=device)
    unknown = torch.tensor([[3.7, torch.nan]], device=device)

    for eigenvalues in (alone, unknown):
        with pytest.raises(ValueError, match="at least two finite eigenvalues"):
            order(criterion, eigenvalues, snapshots=1, most=5)


def test_orders_that_leave_no_noise_eigenvalue_score_infinity() -> None:
    scores = order_scores("mdl", torch.tensor([[5.0, 1.0, 0.5]]), snapshots=10, most=5)

    assert [[False, False, False, True, True, True]] == scores.isinf().tolist()


def test_a_spectrum_of_zeros_has_finite_scores() -> None:
    scores = order_scores("aic", torch.zeros(2, 6), snapshots=10, most=4)

    assert scores.isfinite().all()
