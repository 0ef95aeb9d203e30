"""The grid over the view, and peaks of spectra on it."""

import pytest
import torch
from torch import Tensor

from risexp.estimation.grid import Grid, distinct, highest_peaks, search_grid, summed_energy
from risexp.estimation.receiver_model import ReceiverModel
from risexp.physics.geometry import Wavefront
from risexp.physics.steering import steering_vector
from tests.support.localisation import WAVEFRONTS, anywhere, config_of
from tests.support.looping import for_each
from tests.support.scenes import gaussian, worst

HALF = 0.45
"""Least share of a source's energy, about half, that some grid point must see."""


def grid_of(device: torch.device, *overrides: str, preset: str | None = None) -> Grid:
    receiver = ReceiverModel.of(config_of(*overrides, preset=preset))
    return search_grid(receiver.panel, receiver.view, device)


def least_seen(grid: Grid, *overrides: str) -> float:
    """What the best grid point sees of the source that fares worst."""
    sources = anywhere(config_of(*overrides), 300).float().to(grid.points.device)
    waves = steering_vector(grid.panel, *sources.unbind(-1))
    return float(grid.energies(waves.conj().unsqueeze(1)).amax(-1).min())


@for_each(
    "law",
    [
        *((f"physics.wavefront={wavefront}",) for wavefront in WAVEFRONTS),
        *(
            (f"physics.elements_h={h}", f"physics.elements_v={v}", "physics.symbols=snapshot")
            for h, v in ((6, 6), (24, 6), (5, 16))
        ),
        ("data.range_m=[0.3,50]",),
        ("data.phi_deg=[-75,75]", "data.theta_deg=[-75,75]"),
        ("data.phi_deg=[-60,-20]",),
        ("data.phi_deg=[35,60]", "data.theta_deg=[-75,75]"),
        ("physics.spacing_wavelengths=0.25",),
        ("physics.spacing_wavelengths=1.0",),
    ],
)
def test_every_source_has_a_grid_point_on_its_slope(
    device: torch.device, law: tuple[str, ...]
) -> None:
    assert least_seen(grid_of(device, *law), *law) > HALF


def test_a_grid_for_a_smaller_panel_would_miss_sources(device: torch.device) -> None:
    coarse = grid_of(device, preset="smoke")
    large = ReceiverModel.of(config_of()).panel

    assert least_seen(Grid(coarse.points, coarse.inside, large, coarse.view)) < 0.2


@for_each("wavefront", WAVEFRONTS)
@for_each("panel", [(12, 12), (7, 4), (3, 9)])
def test_responses_are_the_products_with_steering_vectors(
    device: torch.device, panel: tuple[int, int], wavefront: Wavefront
) -> None:
    grid = grid_of(
        device,
        f"physics.elements_h={panel[0]}",
        f"physics.elements_v={panel[1]}",
        f"physics.wavefront={wavefront}",
        "physics.symbols=snapshot",
    )
    rows = gaussian(3, 2, panel[0] * panel[1]).to(device, torch.complex64)
    waves = steering_vector(grid.panel, *grid.candidates.double().unbind(-1))
    expected = rows.to(torch.complex128) @ waves.mT

    responses = grid.responses(rows)

    assert worst(expected, responses.to(torch.complex128)) < 1e-5
    assert worst(expected.abs().square().sum(1), grid.energies(rows).double()) < 1e-5
    assert worst(grid.energies(rows), summed_energy(responses)) < 1e-6


def test_points_run_over_u_fastest_then_v_then_rho_and_are_few(device: torch.device) -> None:
    grid = grid_of(device)
    planes, rows, columns = grid.shape
    u, v, rho = grid.points.unbind(-1)

    assert (planes, rows, columns, 3) == tuple(grid.points.shape)
    assert bool((u[:, :, 1:] > u[:, :, :-1]).all())
    assert bool((v[:, 1:] > v[:, :-1]).all())
    assert bool((rho[1:] > rho[:-1]).all())
    laid = grid.unfold(grid.candidates[:, 0].unsqueeze(0), outside=-9.0)
    assert torch.equal(torch.where(grid.inside, grid.points[..., 0], -9.0), laid[0])
    assert int((laid == -9.0).sum()) > 0
    large = ("physics.elements_h=32", "physics.elements_v=32", "physics.symbols=snapshot")
    # The grid of a thousand elements takes less than a gigabyte.
    assert 8 * len(grid_of(device, *large).candidates) * 1024 < 1e9


@for_each("panel", ["physics.elements_h=12", "physics.elements_h=20"])
def test_steps_are_the_distances_of_neighbours(device: torch.device, panel: str) -> None:
    grid = grid_of(device, panel, "physics.symbols=snapshot")
    expected = torch.stack(
        [
            grid.points[0, 0, 1, 0] - grid.points[0, 0, 0, 0],
            grid.points[0, 1, 0, 1] - grid.points[0, 0, 0, 1],
            grid.points[1, 0, 0, 2] - grid.points[0, 0, 0, 2],
        ]
    )

    assert torch.allclose(expected, grid.steps, rtol=1e-4)
    assert float(grid.steps[0]) <= 1.0 / grid.panel.elements_h + 1e-6


@for_each("axis", [0, 1, 2])
def test_the_prior_gives_a_candidate_the_share_of_the_sources_nearest_to_it(
    device: torch.device, axis: int
) -> None:
    """Sources drawn by the law, each counted for the column, row or plane it is nearest to."""
    grid = grid_of(device)
    drawn = anywhere(config_of(), 20_000)[:, axis]
    values = grid.candidates[:, axis].double().cpu()
    levels = torch.unique(values)
    nearest = (drawn.unsqueeze(-1) - levels).abs().argmin(-1)
    expected = torch.bincount(nearest, minlength=len(levels)) / len(drawn)

    share = torch.stack([grid.prior.exp().cpu()[values == level].sum() for level in levels])

    assert pytest.approx(1.0) == float(share.sum())
    assert float((share - expected).abs().max()) < 0.1


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


@for_each(
    ("heights", "peaks"),
    [
        (
            {(3, 6, 10): 5.0, (0, 2, 4): 7.0, (6, 9, 15): 6.0},
            [(0, 2, 4), (6, 9, 15), (3, 6, 10)],
        ),
        # A slope is no peak however high it is, across planes too.
        (
            {(3, 6, 10): 5.0, (3, 6, 11): 4.9, (3, 7, 10): 4.8, (0, 2, 4): 1.0},
            [(3, 6, 10), (0, 2, 4)],
        ),
        ({(3, 6, 10): 5.0, (4, 7, 11): 4.9, (0, 2, 4): 1.0}, [(3, 6, 10), (0, 2, 4)]),
        # The other end of a row is no neighbour.
        ({(3, 6, 0): 5.0, (3, 6, -1): 4.0, (3, 7, -1): 3.0}, [(3, 6, 0), (3, 6, -1)]),
    ],
)
def test_the_highest_maxima_come_first_and_neighbours_are_none(
    device: torch.device,
    heights: dict[tuple[int, int, int], float],
    peaks: list[tuple[int, int, int]],
) -> None:
    grid = grid_of(device)

    found = highest_peaks(grid, spectrum(grid, heights), len(peaks))

    last = grid.shape[2]
    assert [(plane, row, at % last) for plane, row, at in peaks] == places(grid, found[0])


def test_where_maxima_run_out_the_highest_other_points_follow(device: torch.device) -> None:
    grid = grid_of(device)
    u, v, rho = grid.candidates.double().unbind(-1)
    cone = -(u.square() + v.square() + 0.1 * (rho - 1.0).square()).unsqueeze(0)

    found = highest_peaks(grid, cone, 4)

    expected = grid.candidates[cone[0].topk(4).indices]
    assert torch.equal(expected[0], found[0, 0])
    assert sorted(map(tuple, expected.tolist())) == sorted(map(tuple, found[0].tolist()))
    for height in (0.0, -3.0, 1e30):
        plain = torch.full((2, len(grid.candidates)), height, device=device)
        found = highest_peaks(grid, plain, 7)
        assert (2, 7, 3) == tuple(found.shape)
        assert 7 == len(set(map(tuple, found[0].tolist())))


def test_refined_points_of_one_peak_are_kept_once_and_others_all(
    device: torch.device,
) -> None:
    grid = grid_of(device)
    step = grid.steps
    base = torch.tensor([0.1, 0.1, 1.0], device=device)
    far = base + 3.0 * step
    points = torch.stack([base, base + 0.1 * step, far, base - 0.1 * step]).unsqueeze(0)
    heights = torch.tensor([[5.0, 5.1, 2.0, 4.9]], dtype=torch.float64, device=device)

    assert [[1, 2]] == distinct(grid, points, heights, 2).tolist()
    assert [[1, 2, 0, 3]] == distinct(grid, points, heights, 4).tolist()
    along = torch.tensor([0.0, 0.0, 1.0], device=device) * step
    points = torch.stack([base, base + along, base + 0.1 * along]).unsqueeze(0)
    heights = torch.tensor([[5.0, 3.0, 4.0]], dtype=torch.float64, device=device)
    assert [[0, 1, 2]] == distinct(grid, points, heights, 3).tolist()
