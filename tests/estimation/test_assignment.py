"""The cheapest pairing, against every order tried and against optima that were planted."""

from itertools import permutations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from risexp.estimation.assignment import assign, cheapest, paired_values
from tests.support.looping import for_each
from tests.support.scenes import any_device, uniform

SIDES = st.integers(0, 5)


def costs(scenes: int, rows: int, columns: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Costs with ties and zeros among them, and who is present."""
    cost = (6.0 * uniform(0.0, 1.0, scenes, rows, columns, seed=seed)).round() / 2.0
    return (
        cost,
        uniform(0.0, 1.0, scenes, rows, seed=seed + 1) < 0.7,
        uniform(0.0, 1.0, scenes, columns, seed=seed + 2) < 0.7,
    )


def tried(cost: Tensor) -> float:
    """The least total by trying every order of the longer side."""
    table: list[list[float]] = (cost if cost.shape[0] <= cost.shape[1] else cost.mT).tolist()
    orders = permutations(range(max(cost.shape)), min(cost.shape))
    return min(sum(table[row][column] for row, column in enumerate(order)) for order in orders)


@any_device
@given(rows=st.integers(1, 5), columns=SIDES, seed=st.integers(0, 10_000))
def test_no_order_is_cheaper(device: torch.device, rows: int, columns: int, seed: int) -> None:
    cost, here, there = costs(6, rows, columns, seed)

    partner = assign(cost.to(device), here.to(device), there.to(device)).cpu()

    for scene in range(6):
        answered = partner[scene] >= 0
        chosen = partner[scene][answered]
        total = float(cost[scene][answered.nonzero()[:, 0], chosen].sum()) if columns else 0.0
        assert min(int(here[scene].sum()), int(there[scene].sum())) == len(chosen)
        assert len(set(chosen.tolist())) == len(chosen)
        assert not bool((answered & ~here[scene]).any())
        assert bool(there[scene][chosen].all())
        assert pytest.approx(tried(cost[scene][here[scene]][:, there[scene]])) == total


@for_each("size", [1, 4, 7])
def test_costs_of_any_sign_are_paired_exactly(device: torch.device, size: int) -> None:
    cost = (6.0 * uniform(-1.0, 0.5, 6, size, size, seed=11)).round()

    column = cheapest(cost.to(device)).cpu()

    assert [list(range(size))] * 6 == column.sort(-1).values.tolist()
    paid = cost.gather(-1, column.unsqueeze(-1)).sum((-2, -1))
    assert [tried(each) for each in cost] == pytest.approx(paid.tolist())


def test_as_many_sources_as_a_configuration_allows_are_still_paired_exactly(
    device: torch.device,
) -> None:
    """Prices r_i + c_j for any pair, and more for all but the planted ones: none can be cheaper."""
    planted = torch.rand(16, 32, generator=torch.Generator().manual_seed(1)).argsort(-1).to(device)
    prices = uniform(0.0, 9.0, 16, 32, 1, seed=2) + uniform(0.0, 9.0, 16, 1, 32, seed=3)
    more = uniform(0.01, 1.0, 16, 32, 32, seed=4).to(device)
    cost = prices.to(device) + more.scatter(-1, planted.unsqueeze(-1), 0.0)
    everyone = torch.ones(16, 32, dtype=torch.bool, device=device)

    partner = assign(cost, everyone, everyone)

    assert torch.equal(planted, partner)


def test_the_values_of_absent_rows_and_columns_do_not_matter(device: torch.device) -> None:
    cost, here, there = (part.to(device) for part in costs(32, 5, 4, seed=8))
    absent = ~(here.unsqueeze(-1) & there.unsqueeze(-2))

    partner = assign(cost.masked_fill(absent, torch.nan), here, there)

    assert torch.equal(assign(cost, here, there), partner)


def test_a_row_without_a_partner_gets_the_value_for_being_alone() -> None:
    values = torch.tensor([[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]])
    partner = torch.tensor([[1, -1, 0]])

    assert [[2.0, 9.0, 5.0]] == paired_values(values, partner, alone=9.0).tolist()
