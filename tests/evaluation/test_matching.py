"""Pairs and raw errors by hand, by trying every order, in any order; and GOSPA in metres."""

import math
from dataclasses import replace
from itertools import permutations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from risexp.data.frames import Truth
from risexp.errors import DataInvalid
from risexp.evaluation.matching import TOLERANCE, Matching, gospa, match
from risexp.inference.estimate import Estimate
from tests.support.estimates import (
    drawn_case,
    estimate_of,
    perfect,
    truth_at,
    truth_of,
    with_extra,
)
from tests.support.looping import for_each
from tests.support.scenes import any_device

SEEDS = st.integers(0, 10_000)
WIDTHS = st.integers(1, 5)


def errors_of(matching: Matching) -> list[list[float]]:
    """Signed errors of every pair, in an order that does not depend on the slots'."""
    known = matching.errors[matching.matched]
    return sorted([round(value, 9) for value in row] for row in known.tolist())


def plain_cost(estimate: Estimate, truth: Truth, scene: int, pairs: list[tuple[int, int]]) -> float:
    """The cost of pairs (true, estimated), written with floats one by one."""
    total = 0.0
    for true, found in pairs:
        terms = [
            math.degrees(float(estimate.phi_rad[scene, found] - truth.phi_rad[scene, true])) / 5,
            math.degrees(float(estimate.theta_rad[scene, found] - truth.theta_rad[scene, true]))
            / 5,
            float(estimate.range_m[scene, found] - truth.range_m[scene, true]),
        ]
        total += math.sqrt(sum(min(abs(term), 3.0) ** 2 for term in terms))
    return total


def cheapest(estimate: Estimate, truth: Truth, scene: int) -> float:
    """The least cost over all ways to pair as many sources as possible."""
    true, found = int(truth.count[scene]), int(estimate.count[scene])
    if true <= found:
        ways = [list(enumerate(order)) for order in permutations(range(found), true)]
    else:
        ways = [
            [(row, column) for column, row in enumerate(order)]
            for order in permutations(range(true), found)
        ]
    return min(plain_cost(estimate, truth, scene, pairs) for pairs in ways)


def test_errors_are_estimated_minus_true(device: torch.device) -> None:
    truth = truth_of([(10.0, -5.0, 4.0), (-30.0, 12.0, 6.0)], device=device)
    estimate = estimate_of([(-32.0, 15.0, 5.5), (11.0, -5.5, 4.25)], device=device)

    matching = match(estimate, truth)

    assert [1, 0, -1, -1, -1] == matching.partner[0].tolist()
    assert pytest.approx([1.0, -2.0]) == matching.phi_deg[0, :2].tolist()
    assert pytest.approx([-0.5, 3.0]) == matching.theta_deg[0, :2].tolist()
    assert pytest.approx([0.25, -0.5]) == matching.range_m[0, :2].tolist()
    assert bool(matching.errors[0, 2:].isnan().all())


@any_device
@given(seed=SEEDS, true_width=WIDTHS, width=st.integers(0, 5))
def test_no_other_pairing_costs_less(
    device: torch.device, seed: int, true_width: int, width: int
) -> None:
    estimate, truth = drawn_case(seed, true_width=true_width, width=width, device=device)

    matching = match(estimate, truth)

    for scene, row in enumerate(matching.partner.tolist()):
        pairs = [(true, found) for true, found in enumerate(row) if found >= 0]
        expected = cheapest(estimate, truth, scene)
        assert min(int(truth.count[scene]), int(estimate.count[scene])) == len(pairs)
        assert pytest.approx(expected, abs=1e-6) == plain_cost(estimate, truth, scene, pairs)


def test_far_sources_that_cost_the_same_are_paired_with_the_nearer_in_any_order() -> None:
    near, far = (50.0, 0.0, 20.0), (60.0, 25.0, 30.0)
    truth = truth_of([(-40.0, -20.0, 2.0), (-20.0, -28.0, 8.0)])

    one, other = match(estimate_of([near, far]), truth), match(estimate_of([far, near]), truth)

    assert [1, 0] == one.partner[0, :2].tolist()
    assert errors_of(one) == errors_of(other)


@for_each(
    ("off", "inside"),
    [
        ((4.9, 0.0, 0.0), True),
        ((5.1, 0.0, 0.0), False),
        ((0.0, -4.9, 0.9), True),
        ((0.0, -5.1, 0.0), False),
        ((4.9, 4.9, -0.9), True),
        ((0.0, 0.0, 1.1), False),
    ],
)
def test_a_source_is_located_within_every_tolerance(
    off: tuple[float, float, float], inside: bool
) -> None:
    phi, theta, range_m = off
    truth = truth_of([(0.0, 0.0, 4.0), (40.0, 20.0, 7.0)])
    estimate = estimate_of([(phi, theta, 4.0 + range_m), (40.0, 20.0, 7.0)])

    assert [inside] == match(estimate, truth).within(TOLERANCE).tolist()


def test_no_scene_is_located_with_a_source_too_many_or_too_few() -> None:
    near, far = (0.0, 0.0, 4.0), (40.0, 20.0, 7.0)
    truth = truth_of([near, far], [near])

    matching = match(estimate_of([near], [near, far]), truth)

    assert [False, False] == matching.within(TOLERANCE).tolist()


@for_each("field", ["phi_rad", "theta_rad", "range_m"])
@for_each("value", [math.nan, math.inf, -math.inf])
def test_a_source_without_a_position_is_refused_by_field_and_scene(
    device: torch.device, field: str, value: float
) -> None:
    estimate, truth = drawn_case(6, device=device)
    scene = int((estimate.count >= 2).nonzero()[-1])
    spoiled = getattr(estimate, field).clone()
    spoiled[scene, 1] = value

    with pytest.raises(DataInvalid) as caught:
        match(replace(estimate, **{field: spoiled}), truth)

    assert f"{field} of source 1 in scene {scene} of the estimate is {value}" in str(caught.value)


def test_a_truth_without_a_position_is_refused_too() -> None:
    estimate, truth = drawn_case(6)

    with pytest.raises(DataInvalid, match="range_m of source 0 in scene 0 of the truth"):
        match(estimate, replace(truth, range_m=truth.range_m * math.nan))


@for_each("count", [-1, 6])
def test_a_count_that_has_no_slots_is_refused(count: int) -> None:
    estimate, truth = drawn_case(7)
    changed = estimate.count.clone()
    changed[3] = count

    with pytest.raises(DataInvalid, match=f"count of scene 3 is {count} where .* 5 slots"):
        match(replace(estimate, count=changed), truth)


def test_other_scenes_than_were_localised_are_refused() -> None:
    estimate, truth = drawn_case(8)

    with pytest.raises(DataInvalid, match="7 scenes and the truth of 8"):
        match(estimate[:7], truth)


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
