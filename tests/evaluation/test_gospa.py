"""GOSPA in metres, by hand and as a metric."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from risexp.evaluation.matching import gospa
from tests.support.estimates import (
    drawn_case,
    estimate_of,
    perfect,
    truth_at,
    truth_of,
    with_extra,
)
from tests.support.scenes import any_device

SEEDS = st.integers(0, 10_000)


def test_parts_are_distances_and_half_metres(device: torch.device) -> None:
    truth = truth_of([(0.0, 0.0, 4.0), (30.0, 10.0, 6.0), (-40.0, 0.0, 3.0)], device=device)
    # The first is .3 m off, the second 2 m, the third is not found.
    estimate = estimate_of([(30.0, 10.0, 8.0), (0.0, 0.0, 4.3)], device=device)

    distance = gospa(estimate, truth)

    assert pytest.approx(0.3) == float(distance.localisation)
    assert 1.0 == float(distance.missed)
    assert 0.5 == float(distance.false)
    assert pytest.approx(1.8) == float(distance.total)


def test_an_angle_counts_by_the_way_it_makes() -> None:
    truth = truth_of([(0.0, 0.0, 6.0), (0.0, 60.0, 6.0)])
    estimate = estimate_of([(5.0, 0.0, 6.0), (5.0, 60.0, 6.0)])

    localisation = gospa(estimate, truth).localisation

    # A chord of 5 degrees at 6 m, and the same on the circle of 60 degrees' elevation: half.
    assert pytest.approx(1.5 * 2 * 6.0 * 0.0436194, rel=1e-6) == float(localisation)


@any_device
@given(seed=SEEDS)
def test_it_is_a_metric(device: torch.device, seed: int) -> None:
    a, truth = drawn_case(seed, device=device)
    b, _ = drawn_case(seed + 1, device=device)
    as_truth = truth_at(a.count, a.phi_rad, a.theta_rad, a.range_m)

    there, back = gospa(a, truth).total, gospa(perfect(truth), as_truth).total

    assert pytest.approx(there.tolist(), abs=1e-12) == back.tolist()
    detour = gospa(b, as_truth).total + there
    assert bool((gospa(b, truth).total <= detour + 1e-9).all())


def test_a_far_extra_estimate_costs_half_a_metre(device: torch.device) -> None:
    estimate, truth = drawn_case(2, device=device)
    before = gospa(estimate, truth)

    after = gospa(with_extra(estimate, (80.0, 80.0, 400.0)), truth)

    assert pytest.approx(before.localisation.tolist()) == after.localisation.tolist()
    assert torch.equal(before.missed, after.missed)
    assert torch.equal(before.false + 0.5, after.false)
