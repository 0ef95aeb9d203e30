"""The phase codes: unit modulus, the pool they come from, and the operator they make."""

import math
from collections import Counter
from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from risexp.physics.codes import Codebook, codebook
from risexp.physics.geometry import Panel
from risexp.physics.signals import stacked_operator
from tests.support.looping import for_each
from tests.support.scenes import panel, tiny_scenes, worst

CODEBOOKS: tuple[Codebook, ...] = get_args(Codebook)


def default_codes(kind: Codebook, phase_bits: int | None = 3, snapshots: int = 16) -> Tensor:
    return codebook(kind, panel(), snapshots, pool=(8, 8), phase_bits=phase_bits)


def kron_pool() -> Tensor:
    """All 64 codes of the pool, (64, 144): columns of kron(F_v, F_h), h fastest."""
    centred = torch.arange(12, dtype=torch.float64) - 5.5
    phase = 2.0 * math.pi / 12 * torch.outer(centred, torch.arange(8, dtype=torch.float64))
    columns = torch.polar(torch.ones_like(phase), phase)
    return torch.kron(columns, columns).mT


def frequencies(codes: Tensor, shape: Panel) -> list[tuple[int, int]]:
    """(i, j) of every continuous DFT code, read from its first steps along h and v."""
    along_h = (codes[:, 1] / codes[:, 0]).angle() * shape.elements_h / (2 * math.pi)
    along_v = (codes[:, shape.elements_h] / codes[:, 0]).angle() * shape.elements_v / (2 * math.pi)
    h = (along_h.round().long() % shape.elements_h).tolist()
    v = (along_v.round().long() % shape.elements_v).tolist()
    return list(zip(h, v, strict=True))


@given(
    kind=st.sampled_from(CODEBOOKS),
    size=st.tuples(st.integers(2, 16), st.integers(2, 16)),
    snapshots=st.integers(1, 300),
    phase_bits=st.none() | st.integers(1, 6),
    data=st.data(),
)
def test_every_code_has_unit_modulus_and_one_phase_an_element(
    kind: Codebook,
    size: tuple[int, int],
    snapshots: int,
    phase_bits: int | None,
    data: st.DataObject,
) -> None:
    pool = tuple(data.draw(st.integers(1, side)) for side in size)
    shape = panel("spherical", *size)

    codes = codebook(kind, shape, snapshots, pool=(pool[0], pool[1]), phase_bits=phase_bits)

    assert codes.shape == (snapshots, shape.elements)
    assert codes.dtype == torch.complex64
    assert codes.abs().sub(1.0).abs().max() < 1e-6


@for_each("kind", CODEBOOKS)
def test_three_bits_round_every_phase_to_the_nearest_of_eight(kind: Codebook) -> None:
    eight = torch.polar(torch.ones(8), torch.arange(8) * math.pi / 4)
    continuous = default_codes(kind, phase_bits=None)

    quantised = default_codes(kind, phase_bits=3)

    nearest = (continuous.unsqueeze(-1) - eight).abs().amin(-1)
    assert (quantised.unsqueeze(-1) - eight).abs().amin(-1).max() < 1e-5
    assert ((quantised - continuous).abs() - nearest).abs().max() < 1e-5


def test_dft_takes_every_fourth_code_of_the_kron_pool_or_all_in_order() -> None:
    few, all_codes = (default_codes("dft", None, snapshots) for snapshots in (16, 64))

    assert worst(kron_pool()[::4], few) < 1e-6
    assert worst(kron_pool(), all_codes) < 1e-6


def test_balanced_meets_every_frequency_twice_where_dft_meets_two_along_h() -> None:
    strided = frequencies(default_codes("dft", None), panel())
    spread, whole = (
        frequencies(default_codes("balanced", None, snapshots), panel()) for snapshots in (16, 64)
    )

    assert {0, 4} == {i for i, _ in strided}
    for axis in (0, 1):
        assert Counter(dict.fromkeys(range(8), 2)) == Counter(each[axis] for each in spread)
    assert (16, 64) == (len(set(spread)), len(set(whole)))  # no code is repeated


def test_the_dft_pool_follows_a_panel_that_is_not_square() -> None:
    oblong = panel(elements_h=6, elements_v=4)

    codes = codebook("dft", oblong, 12, pool=(4, 3), phase_bits=None)

    assert [(i, j) for j in range(3) for i in range(4)] == frequencies(codes, oblong)


@for_each("kind", ["dft", "balanced"])
def test_more_snapshots_than_codes_repeat_codes_of_the_pool(kind: Codebook) -> None:
    pool = {(i, j) for i in range(3) for j in range(2)}

    codes = codebook(kind, panel(), 20, pool=(3, 2), phase_bits=None)

    assert set(frequencies(codes, panel())) == pool
    assert (20, 144) == codes.shape


def test_hadamard_codes_are_rows_of_the_walsh_matrix() -> None:
    rows = torch.ones(1, 1)
    for _ in range(4):
        rows = torch.kron(torch.tensor([[1.0, 1.0], [1.0, -1.0]]), rows)

    codes = codebook("hadamard", panel(elements_h=4, elements_v=4), 16, pool=(4, 4), phase_bits=1)

    assert worst(rows.to(torch.complex64), codes) < 1e-6


def test_random_codes_depend_on_their_seed_and_nothing_else() -> None:
    def draw(seed: int) -> Tensor:
        return codebook("random", panel(), 16, pool=(8, 8), phase_bits=3, seed=seed)

    first = draw(seed=7)
    torch.rand(3)

    assert torch.equal(first, draw(seed=7))
    assert not torch.equal(first, draw(seed=8))


@for_each("kind", CODEBOOKS)
def test_the_joint_operator_has_full_column_rank_and_is_well_conditioned(
    device: torch.device, kind: Codebook
) -> None:
    channel = tiny_scenes(8, device=device).frames.channel.to(torch.complex128)
    codes = default_codes(kind).to(channel)

    values = torch.linalg.svdvals(stacked_operator(channel, codes))

    condition = values[:, 0] / values[:, -1]
    assert (8, 144) == values.shape
    assert float(condition.max()) < 12.0
    assert pytest.approx(7.0, abs=1.0) == float(condition.median())
