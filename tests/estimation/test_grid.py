"""The grid on which sources are first looked for."""

import pytest
import torch

from risexp.estimation.grid import Grid, search_grid, summed_energy
from risexp.estimation.receiver_model import ReceiverModel
from risexp.physics.geometry import Wavefront
from risexp.physics.steering import steering_vector
from tests.support.localisation import WAVEFRONTS, anywhere, config_of
from tests.support.looping import for_each
from tests.support.scenes import gaussian, worst

SMALL_PANELS = ((6, 6), (24, 6), (5, 16))
HALF = 0.45
"""Least share of a source's energy, about half, that some grid point must see."""


def grid_of(device: torch.device, *overrides: str, preset: str | None = None) -> Grid:
    receiver = ReceiverModel.of(config_of(*overrides, preset=preset))
    return search_grid(receiver.panel, receiver.view, device)


def least_seen(grid: Grid, *overrides: str) -> float:
    """What the best grid point sees of the source that fares worst."""
    sources = anywhere(config_of(*overrides), 500).float().to(grid.points.device)
    waves = steering_vector(grid.panel, *sources.unbind(-1))
    return float(grid.energies(waves.conj().unsqueeze(1)).amax(-1).min())


@for_each("wavefront", WAVEFRONTS)
def test_every_source_has_a_grid_point_on_its_slope(
    device: torch.device, wavefront: Wavefront
) -> None:
    law = f"physics.wavefront={wavefront}"

    assert least_seen(grid_of(device, law), law) > HALF


@for_each("panel", SMALL_PANELS)
def test_every_source_before_another_panel_has_one_too(
    device: torch.device, panel: tuple[int, int]
) -> None:
    law = (
        f"physics.elements_h={panel[0]}",
        f"physics.elements_v={panel[1]}",
        "physics.symbols=snapshot",
    )

    assert least_seen(grid_of(device, *law), *law) > HALF


@for_each(
    "view",
    [
        ("data.range_m=[0.3,50]",),
        ("data.phi_deg=[-75,75]", "data.theta_deg=[-75,75]"),
        ("data.phi_deg=[-60,-20]",),
        ("data.phi_deg=[35,60]", "data.theta_deg=[-75,75]"),
        ("physics.spacing_wavelengths=0.25",),
        ("physics.spacing_wavelengths=1.0",),
    ],
)
def test_every_source_of_another_view_has_one_too(
    device: torch.device, view: tuple[str, ...]
) -> None:
    assert least_seen(grid_of(device, *view), *view) > HALF


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


def test_points_run_over_u_fastest_then_v_then_rho(device: torch.device) -> None:
    grid = grid_of(device)
    planes, rows, columns = grid.shape
    u, v, rho = grid.points.unbind(-1)

    assert (planes, rows, columns, 3) == tuple(grid.points.shape)
    assert bool((u[:, :, 1:] > u[:, :, :-1]).all())
    assert bool((v[:, 1:] > v[:, :-1]).all())
    assert bool((rho[1:] > rho[:-1]).all())


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


def test_values_lie_where_their_points_lie(device: torch.device) -> None:
    grid = grid_of(device)
    values = grid.candidates[:, 0].unsqueeze(0)

    laid = grid.unfold(values, outside=-9.0)

    assert torch.equal(torch.where(grid.inside, grid.points[..., 0], -9.0), laid[0])
    assert int((laid == -9.0).sum()) > 0


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


def test_the_grid_of_a_panel_of_a_thousand_elements_takes_less_than_a_gigabyte(
    device: torch.device,
) -> None:
    grid = grid_of(
        device, "physics.elements_h=32", "physics.elements_v=32", "physics.symbols=snapshot"
    )

    assert 8 * len(grid.candidates) * grid.panel.elements < 1e9
