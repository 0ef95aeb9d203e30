"""Groups of scenes: every scene in one, on the side of an edge that is said."""

import pytest
import torch

from risexp.errors import DataInvalid
from risexp.evaluation.scene_scores import SceneScores, by_count, by_snr, by_weakest, score_scenes
from risexp.evaluation.scores import summarise
from tests.support.estimates import drawn_case
from tests.support.looping import for_each
from tests.support.scenes import uniform


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
