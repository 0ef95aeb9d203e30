"""The map of directions against the cells that hold sources."""

import math
from dataclasses import replace

import pytest
import torch

from risexp.loss.heat_term import heat_error, source_cells
from risexp.loss.target import Target
from risexp.physics.geometry import direction_cosines
from tests.support.predictions import best_prediction, guess_of, random_heat, small_target


def with_logits(target: Target, logits: torch.Tensor) -> torch.Tensor:
    heat = replace(random_heat(target), logits=logits)
    return heat_error(guess_of(replace(best_prediction(target), heat=heat), target))


def test_a_prediction_without_a_map_is_refused(device: torch.device) -> None:
    target = small_target(device=device)
    mapless = replace(best_prediction(target), heat=None)

    with pytest.raises(ValueError, match=r"loss\.heat has a weight .* no map of directions"):
        heat_error(guess_of(mapless, target))


def test_the_cells_of_the_sources_are_the_nearest_ones(device: torch.device) -> None:
    target = small_target(device=device)
    heat = random_heat(target)
    u, v = direction_cosines(target.phi_rad, target.theta_rad)

    cells = source_cells(heat, target)

    for scene in range(len(target)):
        expected = set()
        for source in range(int(target.count[scene])):
            row = int((heat.v - v[scene, source]).abs().argmin())
            expected.add((row, int((heat.u - u[scene, source]).abs().argmin())))
        assert expected == {(row, column) for row, column in cells[scene].nonzero().tolist()}


def test_absent_sources_mark_no_cell_and_unmark_none(device: torch.device) -> None:
    target = small_target(2, device=device)
    straight = torch.zeros_like(target.phi_rad)
    first = torch.tensor([[True, False, False, False, False]] * 2, device=device)
    ahead = replace(target, phi_rad=straight, theta_rad=straight, present=first)

    cells = source_cells(random_heat(ahead), ahead)

    assert [[0, 3, 4], [1, 3, 4]] == cells.nonzero().tolist()


def test_a_cell_that_is_sure_counts_less_than_in_plain_cross_entropy(device: torch.device) -> None:
    target = small_target(device=device)
    cells = source_cells(random_heat(target), target)

    half_sure = with_logits(target, torch.where(cells, 3.0, -3.0))

    plain = 63 * math.log1p(math.exp(-3.0)) / target.count
    assert bool((half_sure < 0.01 * plain).all())


def test_a_missed_source_costs_more_than_a_false_cell(device: torch.device) -> None:
    target = small_target(device=device)
    cells = source_cells(random_heat(target), target)
    sure = torch.where(cells, 4.0, -4.0)

    missed = with_logits(target, torch.where(cells, -4.0, sure))
    cold = with_logits(target, sure)

    assert bool((missed > cold + 3.0 * cells.flatten(1).sum(-1) / target.count).all())
