"""The pairing of slots with sources: the best of all orders, however many sources there are."""

from itertools import permutations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from risexp.loss.pairing import TRIED, best_slots
from tests.support.scenes import any_device, uniform

BATCH = 16
WIDTHS = [1, 2, 3, 5, 6, 9]


def drawn(most: int, seed: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Costs of any sign, and present sources, at least one a scene."""
    cost = uniform(-2.0, 10.0, BATCH, most, most, seed=seed).to(device)
    count = uniform(1.0, most + 1.0, BATCH, seed=seed + 1).long().to(device)
    return cost, torch.arange(most, device=device) < count.unsqueeze(-1)


def paid(cost: Tensor, slots: Tensor, present: Tensor) -> Tensor:
    """What the present sources of each scene pay together, (B,)."""
    sources = torch.arange(cost.shape[-1], device=cost.device)
    scenes = torch.arange(len(cost), device=cost.device).unsqueeze(-1)
    return torch.where(present, cost[scenes, slots, sources], 0.0).sum(-1)


@pytest.mark.parametrize("most", WIDTHS)
def test_every_source_has_a_slot_of_its_own(device: torch.device, most: int) -> None:
    slots = best_slots(*drawn(most, 4, device))

    assert [list(range(most))] * BATCH == slots.sort(-1).values.tolist()


@pytest.mark.parametrize("most", [1, 2, 3, 5, 6, 7])
def test_no_order_is_cheaper(device: torch.device, most: int) -> None:
    cost, present = drawn(most, 6, device)

    orders = [
        paid(cost, torch.tensor(order, device=device).expand(BATCH, most), present)
        for order in permutations(range(most))
    ]

    actual = paid(cost, best_slots(cost, present), present)
    torch.testing.assert_close(torch.stack(orders).amin(0), actual)


@pytest.mark.parametrize("most", WIDTHS)
def test_a_pairing_without_error_is_found(device: torch.device, most: int) -> None:
    cost, present = drawn(most, 8, device)
    wanted = torch.randperm(most, generator=torch.Generator().manual_seed(most)).to(device)
    cost = (cost + 3.0).index_put(
        (
            torch.arange(BATCH, device=device).unsqueeze(-1),
            wanted,
            torch.arange(most, device=device),
        ),
        torch.zeros((), dtype=cost.dtype, device=device),
    )

    slots = best_slots(cost, present)

    assert torch.equal(wanted.expand(BATCH, most)[present], slots[present])


def test_both_ways_to_find_the_best_order_agree(
    device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    cost, present = drawn(TRIED, 10, device)
    tried = best_slots(cost, present)

    monkeypatch.setattr("risexp.loss.pairing.TRIED", TRIED - 1)
    walked = best_slots(cost, present)

    assert torch.equal(tried[present], walked[present])


@given(seed=st.integers(0, 10_000), most=st.sampled_from(WIDTHS))
@any_device
def test_the_pairing_follows_sources_and_slots_wherever_they_are_listed(
    device: torch.device, seed: int, most: int
) -> None:
    cost, _ = drawn(most, seed, device)
    present = torch.ones(BATCH, most, dtype=torch.bool, device=device)
    generator = torch.Generator().manual_seed(seed)
    rows, columns = (torch.randperm(most, generator=generator).to(device) for _ in range(2))

    moved = best_slots(cost[:, rows][..., columns], present)

    assert torch.equal(best_slots(cost, present)[:, columns], rows[moved])


def test_what_absent_sources_would_cost_does_not_matter(device: torch.device) -> None:
    cost, present = drawn(5, 12, device)
    dear = torch.where(present.unsqueeze(-2), cost, torch.nan)

    assert torch.equal(best_slots(cost, present)[present], best_slots(dear, present)[present])


def test_a_cost_that_is_undefined_raises_nothing(device: torch.device) -> None:
    for most in (5, 9):
        cost, present = drawn(most, 14, device)

        slots = best_slots(torch.full_like(cost, torch.nan), present)

        assert 0 <= int(slots.min()) <= int(slots.max()) < most
