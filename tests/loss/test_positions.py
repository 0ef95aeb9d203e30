"""The error of a position: its units, its weights, its knee."""

import math

import pytest
import torch
from torch import Tensor

from risexp.loss.positions import KNEE, Points, position_error

UNIT = 0.1
NOWHERE: Points = (torch.zeros(1), torch.zeros(1), torch.zeros(1))


def off(phi_deg: float = 0.0, theta_deg: float = 0.0, rho: float = 0.0) -> Tensor:
    pointed = (
        torch.tensor([math.radians(phi_deg)]),
        torch.tensor([math.radians(theta_deg)]),
        torch.tensor([rho]),
    )
    return position_error(pointed, NOWHERE, UNIT)


def test_five_degrees_weigh_as_much_as_a_unit_of_inverse_range() -> None:
    assert pytest.approx(float(off(rho=UNIT))) == float(off(phi_deg=5.0))
    assert pytest.approx((1.0 - KNEE / 2) / 3.5) == float(off(phi_deg=-5.0))


def test_elevation_weighs_half_as_much_again() -> None:
    assert pytest.approx(1.5 * float(off(phi_deg=7.0))) == float(off(theta_deg=7.0))


def test_an_error_below_the_knee_counts_by_its_square() -> None:
    assert pytest.approx(0.25 * float(off(phi_deg=0.8))) == float(off(phi_deg=0.4))


def test_errors_far_out_pull_alike() -> None:
    pointed = torch.tensor([0.2, 2.0], requires_grad=True)
    nothing = torch.zeros(2)

    error = position_error((pointed, nothing, nothing), (nothing, nothing, nothing), UNIT)

    (pull,) = torch.autograd.grad(error.sum(), pointed)
    assert pytest.approx(float(pull[0])) == float(pull[1])
