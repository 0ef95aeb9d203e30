"""Where elements are and how directions are written."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from risexp.physics.geometry import Panel, angles, direction_cosines
from tests.support.looping import for_each
from tests.support.scenes import any_device, panel


def test_h_runs_fastest(device: torch.device) -> None:
    h_m, v_m = panel(elements_h=3, elements_v=2).positions(device=device)

    assert pytest.approx([-0.15, 0.0, 0.15] * 2, abs=1e-15) == h_m.tolist()
    assert pytest.approx([-0.075] * 3 + [0.075] * 3, abs=1e-15) == v_m.tolist()


def test_a_panel_counts_its_elements_and_knows_its_wavenumber() -> None:
    small = Panel(elements_h=5, elements_v=7, spacing_m=0.01, wavelength_m=0.03)

    assert 35 == small.elements
    assert pytest.approx(209.4395102393195, rel=1e-14) == small.wavenumber


@for_each(
    ("phi_deg", "theta_deg", "expected"),
    [
        (0.0, 0.0, (0.0, 0.0)),
        (30.0, 0.0, (0.5, 0.0)),
        (0.0, -30.0, (0.0, -0.5)),
        (60.0, 60.0, (math.sqrt(3) / 4, math.sqrt(3) / 2)),
        (-90.0, 45.0, (-math.sqrt(0.5), math.sqrt(0.5))),
    ],
)
def test_cosines_are_sin_phi_cos_theta_and_sin_theta(
    phi_deg: float, theta_deg: float, expected: tuple[float, float]
) -> None:
    phi, theta = (torch.tensor(d, dtype=torch.float64).deg2rad() for d in (phi_deg, theta_deg))

    u, v = direction_cosines(phi, theta)

    assert pytest.approx(expected, abs=1e-15) == (float(u), float(v))


@any_device
@given(phi_deg=st.floats(-89.0, 89.0), theta_deg=st.floats(-89.0, 89.0))
def test_angles_undo_direction_cosines(
    device: torch.device, phi_deg: float, theta_deg: float
) -> None:
    phi = torch.tensor(phi_deg, dtype=torch.float64, device=device).deg2rad()
    theta = torch.tensor(theta_deg, dtype=torch.float64, device=device).deg2rad()

    again_phi, again_theta = angles(*direction_cosines(phi, theta))

    assert pytest.approx(float(phi), abs=1e-9) == float(again_phi)
    assert pytest.approx(float(theta), abs=1e-9) == float(again_theta)


def test_cosines_outside_the_unit_disc_give_the_nearest_angles_not_nan() -> None:
    phi, theta = angles(
        torch.tensor([0.9, 0.0], dtype=torch.float64), torch.tensor([0.9, 1.1], dtype=torch.float64)
    )

    assert pytest.approx([math.pi / 2, 0.0]) == phi.tolist()
    assert pytest.approx([math.asin(0.9), math.pi / 2]) == theta.tolist()
