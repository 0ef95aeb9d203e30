"""Scores of single scenes: the composite, which counts are taken for which, and groups."""

import math

import pytest
import torch

from risexp.errors import DataInvalid
from risexp.evaluation.scene_scores import (
    SceneScores,
    by_count,
    by_snr,
    by_weakest,
    confusion,
    score_scenes,
)
from risexp.evaluation.scores import summarise
from tests.support.estimates import (
    drawn_case,
    estimate_of,
    scores_of,
    truth_of,
)
from tests.support.looping import for_each
from tests.support.scenes import uniform


def test_worst_is_exactly_ten(device: torch.device) -> None:
    truth = truth_of([(-50.0, -25.0, 2.0)], [(-50.0, -25.0, 2.0), (-40.0, -20.0, 3.0)])
    far = (50.0, 25.0, 90.0)
    estimate = estimate_of([far] * 2, [far])

    assert 10.0 == scores_of(estimate.to(device), truth.to(device)).k_loc


def test_every_slot_of_every_scene_weighs_the_same() -> None:
    near, right = (2.5, 0.0, 4.0), (0.0, 0.0, 4.0)
    truth = truth_of([right], [right, (40.0, 20.0, 7.0)], [right])
    # Half a tolerance in azimuth; one source missed; one 2 m off and one too many.
    estimate = estimate_of([near], [right], [(0.0, 0.0, 6.0), (40.0, -20.0, 9.0)])

    k_loc = scores_of(estimate, truth).k_loc

    phi = math.sqrt((0.25 + 9.0 + 9.0) / 5)
    theta = math.sqrt((9.0 + 9.0) / 5)
    range_ = math.sqrt((9.0 + 4.0 + 9.0) / 5)
    assert pytest.approx((1 - 1 / 3) + phi + theta + range_ - 1 / 3) == k_loc


def test_an_error_beyond_the_cap_is_as_bad_as_a_source_not_found() -> None:
    truth = truth_of([(0.0, 0.0, 4.0), (40.0, 20.0, 7.0)])
    found, missed = (0.0, 0.0, 4.0), (-40.0, -20.0, 80.0)

    wrong = scores_of(estimate_of([found, missed]), truth)
    fewer = scores_of(estimate_of([found]), truth)

    # Only the count tells them apart.
    assert pytest.approx(fewer.k_loc - 1.0) == wrong.k_loc


def test_rows_are_true_and_columns_estimated(device: torch.device) -> None:
    true = torch.tensor([1, 1, 2, 3, 3, 3], device=device)
    estimated = torch.tensor([1, 2, 2, 1, 3, 3], device=device)

    table = confusion(true, estimated, most=3)

    assert [[1, 1, 0], [0, 1, 0], [1, 0, 2]] == table.matrix.tolist()


def test_no_source_and_too_many_have_cells_of_their_own(device: torch.device) -> None:
    true = torch.tensor([1, 2, 2, 3], device=device)
    estimated = torch.tensor([0, 0, 4, 9], device=device)

    table = confusion(true, estimated, most=3)

    assert [1, 1, 0] == table.none.tolist()
    assert [0, 1, 1] == table.beyond.tolist()
    assert 0 == int(table.matrix.sum())


def test_every_scene_is_in_one_cell(device: torch.device) -> None:
    estimate, truth = drawn_case(1, scenes=500, true_width=4, width=7, device=device)
    scored = score_scenes(estimate, truth)

    table = scored.confusion

    per_count = torch.bincount(truth.count, minlength=5)[1:]
    assert (4, 4) == table.matrix.shape
    assert torch.equal(per_count, table.matrix.sum(-1) + table.none + table.beyond)
    assert int(table.none.sum()) > 0
    assert int(table.beyond.sum()) > 0
    assert int(scored.hit.sum()) == int(table.matrix.trace())


def table_of(scenes: int, device: torch.device) -> SceneScores:
    return score_scenes(*drawn_case(1, scenes=scenes, device=device))


def test_bins_begin_at_their_lower_edge_the_last_holds_its_upper_one_and_none_is_empty(
    device: torch.device,
) -> None:
    snr_db = torch.tensor([-5.0, -0.01, 0.0, 9.99, 10.0, 20.0, 20.01], device=device)
    table = table_of(7, device)

    groups = by_snr(table, snr_db)
    others = by_snr(table, snr_db - 100.0, edges_db=(-106.0, -99.0))

    sizes = {name: len(group) for name, group in groups.items()}
    assert {"below 0": 2, "0 to 10": 2, "10 to 20": 2, "above 20": 1} == sizes
    assert torch.equal(table.matching.true_count[2:4], groups["0 to 10"].matching.true_count)
    assert ["-106 to -99", "above -99"] == list(others)


def test_a_rate_over_all_is_the_mean_of_its_groups(device: torch.device) -> None:
    table = table_of(300, device)
    groups = by_snr(table, uniform(-5.0, 20.0, 300).to(device))

    pooled = sum(len(group) * summarise(group).k_acc for group in groups.values()) / 300

    assert 300 == sum(map(len, groups.values()))
    assert pytest.approx(pooled) == summarise(table).k_acc


@for_each("snr_db", [torch.tensor([1.0, torch.nan]), torch.ones(3)])
def test_scenes_without_an_snr_are_refused(snr_db: torch.Tensor) -> None:
    with pytest.raises(DataInvalid, match="2 scenes need one number each"):
        by_snr(table_of(2, torch.device("cpu")), snr_db)


def test_counts_are_groups_of_their_own(device: torch.device) -> None:
    estimate, truth = drawn_case(2, scenes=200, device=device)

    groups = by_count(score_scenes(estimate, truth))

    assert [1, 2, 3, 4, 5] == list(groups)
    for count, group in groups.items():
        assert int((truth.count == count).sum()) == len(group)
        assert {count} == set(group.matching.true_count.tolist())


def test_the_weakest_source_decides(device: torch.device) -> None:
    source_snr = torch.tensor([[5.0, -3.0, torch.nan], [15.0, torch.nan, torch.nan]], device=device)

    groups = by_weakest(table_of(2, device), source_snr)

    assert ["below 0", "10 to 20"] == list(groups)
