"""Counts and what they are taken for; no scene may fall between the cells."""

import torch

from risexp.evaluation.scene_scores import confusion, score_scenes
from tests.support.estimates import drawn_case


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


def test_a_count_is_right_or_too_small_or_too_large(device: torch.device) -> None:
    estimate, truth = drawn_case(2, scenes=300, width=7, device=device)
    scored = score_scenes(estimate, truth)

    cases = torch.stack([scored.hit, scored.under, scored.over]).int()

    assert [1] * 300 == cases.sum(0).tolist()
    assert torch.equal(estimate.count < truth.count, scored.under)
    assert torch.equal(estimate.count > truth.count, scored.over)
