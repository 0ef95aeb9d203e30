"""Peaks of crafted spectra."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from risexp.estimation.grid import Grid, distinct, highest_peaks, search_grid
from risexp.estimation.receiver_model import ReceiverModel
from tests.support.localisation import config_of
from tests.support.looping import for_each
from tests.support.scenes import any_device, uniform


def grid_on(device: torch.device) -> Grid:
    receiver = ReceiverModel.of(config_of())
    return search_grid(receiver.panel, receiver.view, device)


def spectrum(grid: Grid, peaks: dict[tuple[int, int, int], float], floor: float = 0.0) -> Tensor:
    """A spectrum (1, G) that is flat but for some points, named by plane, row and column."""
    laid = torch.full(grid.shape, floor, dtype=torch.float64, device=grid.points.device)
    for place, height in peaks.items():
        laid[place] = height
    return laid[grid.inside].unsqueeze(0)


def places(grid: Grid, points: Tensor) -> list[tuple[int, ...]]:
    """Plane, row and column of the points of one scene."""
    flat = grid.points.flatten(0, 2)
    where = (flat.unsqueeze(0) - points.unsqueeze(1)).abs().amax(-1).argmin(-1)
    return [tuple(map(int, torch.unravel_index(each, grid.shape))) for each in where]


def test_the_highest_maxima_come_first(device: torch.device) -> None:
    grid = grid_on(device)
    heights = spectrum(grid, {(3, 6, 10): 5.0, (0, 2, 4): 7.0, (6, 9, 15): 6.0})

    found = highest_peaks(grid, heights, 3)

    assert [(0, 2, 4), (6, 9, 15), (3, 6, 10)] == places(grid, found[0])


def test_a_slope_is_no_peak_however_high_it_is(device: torch.device) -> None:
    grid = grid_on(device)
    heights = spectrum(grid, {(3, 6, 10): 5.0, (3, 6, 11): 4.9, (3, 7, 10): 4.8, (0, 2, 4): 1.0})

    found = highest_peaks(grid, heights, 2)

    assert [(3, 6, 10), (0, 2, 4)] == places(grid, found[0])


def test_neighbours_are_neighbours_across_planes_too(device: torch.device) -> None:
    grid = grid_on(device)
    heights = spectrum(grid, {(3, 6, 10): 5.0, (4, 7, 11): 4.9, (0, 2, 4): 1.0})

    found = highest_peaks(grid, heights, 2)

    assert [(3, 6, 10), (0, 2, 4)] == places(grid, found[0])


def test_the_other_end_of_a_row_is_no_neighbour(device: torch.device) -> None:
    grid = grid_on(device)
    last = grid.shape[2] - 1
    heights = spectrum(grid, {(3, 6, 0): 5.0, (3, 6, last): 4.0, (3, 7, last): 3.0})

    found = highest_peaks(grid, heights, 2)

    assert [(3, 6, 0), (3, 6, last)] == places(grid, found[0])


def test_where_maxima_run_out_the_highest_other_points_follow(device: torch.device) -> None:
    grid = grid_on(device)
    u, v, rho = grid.candidates.double().unbind(-1)
    cone = -(u.square() + v.square() + 0.1 * (rho - 1.0).square()).unsqueeze(0)

    found = highest_peaks(grid, cone, 4)

    expected = grid.candidates[cone[0].topk(4).indices]
    assert torch.equal(expected[0], found[0, 0])
    assert sorted(map(tuple, expected.tolist())) == sorted(map(tuple, found[0].tolist()))


@for_each("height", [0.0, -3.0, 1e30])
def test_a_plain_has_points_enough(device: torch.device, height: float) -> None:
    grid = grid_on(device)
    heights = torch.full((2, len(grid.candidates)), height, device=device)

    found = highest_peaks(grid, heights, 7)

    assert (2, 7, 3) == tuple(found.shape)
    assert 7 == len(set(map(tuple, found[0].tolist())))


@any_device
@given(seed=st.integers(0, 2**31), count=st.integers(1, 24), scale=st.sampled_from([1e-9, 1, 1e9]))
def test_peaks_are_different_points_of_the_view_none_below_a_peak_left_out(
    *, device: torch.device, seed: int, count: int, scale: float
) -> None:
    grid = grid_on(device)
    heights = scale * uniform(-1.0, 1.0, 3, len(grid.candidates), seed=seed).to(device)

    found = highest_peaks(grid, heights, count)

    known = set(map(tuple, grid.candidates.tolist()))
    for scene in found.tolist():
        chosen = set(map(tuple, scene))
        assert count == len(chosen)
        assert chosen <= known
    assert torch.equal(grid.candidates[heights.argmax(-1)], found[:, 0])


def test_refined_points_of_one_peak_are_kept_once(device: torch.device) -> None:
    grid = grid_on(device)
    step = grid.steps
    base = torch.tensor([0.1, 0.1, 1.0], device=device)
    far = base + 3.0 * step
    points = torch.stack([base, base + 0.1 * step, far, base - 0.1 * step]).unsqueeze(0)
    heights = torch.tensor([[5.0, 5.1, 2.0, 4.9]], dtype=torch.float64, device=device)

    assert [[1, 2]] == distinct(grid, points, heights, 2).tolist()
    assert [[1, 2, 0, 3]] == distinct(grid, points, heights, 4).tolist()


def test_points_apart_along_rho_alone_are_two_peaks(device: torch.device) -> None:
    grid = grid_on(device)
    base = torch.tensor([0.1, 0.1, 1.0], device=device)
    along = torch.tensor([0.0, 0.0, 1.0], device=device) * grid.steps
    points = torch.stack([base, base + along, base + 0.1 * along]).unsqueeze(0)
    heights = torch.tensor([[5.0, 3.0, 4.0]], dtype=torch.float64, device=device)

    assert [[0, 1, 2]] == distinct(grid, points, heights, 3).tolist()


@any_device
@given(seed=st.integers(0, 2**31), count=st.integers(1, 6))
def test_distinct_points_are_chosen_once_each_the_highest_first(
    *, device: torch.device, seed: int, count: int
) -> None:
    grid = grid_on(device)
    order = torch.randperm(len(grid.candidates), generator=torch.Generator().manual_seed(seed))[:12]
    points = grid.candidates[order.to(device)].view(2, 6, 3)
    heights = uniform(-1.0, 1.0, 2, 6, seed=seed).to(device)

    chosen = distinct(grid, points, heights, count)

    assert torch.equal(heights.argsort(dim=-1, descending=True)[:, :count], chosen)
