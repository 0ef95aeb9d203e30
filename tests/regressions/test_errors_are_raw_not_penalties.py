"""Museum 23: medians were exactly 90 deg and 10 m, penalties entered in place of errors."""

import pytest
import torch

from risexp.evaluation.matching import Matching
from risexp.evaluation.scene_scores import SceneScores, score_scenes
from risexp.evaluation.scores import summarise
from tests.support.estimates import drawn_case, estimate_at, perfect, with_count

PENALTIES = torch.tensor([90.0, 90.0, 10.0], dtype=torch.float64)


def one_found_of_many(device: torch.device) -> SceneScores:
    """Scenes of 3 to 5 sources, of which one is found, 1 deg and 0.2 m off."""
    _, truth = drawn_case(3, scenes=200, device=device)
    found = perfect(truth)
    off = torch.tensor(1.0, dtype=torch.float64).deg2rad()
    near = estimate_at(found.count, found.phi_rad + off, found.theta_rad - off, found.range_m + 0.2)
    table = score_scenes(with_count(near, torch.ones_like(truth.count)), truth)
    return table[truth.count >= 3]


def medians_with_penalties(matching: Matching) -> tuple[float, float]:
    """The medians of old: a slot without a pair enters the errors as 90 deg and 10 m."""
    errors = matching.errors.abs()
    filled = torch.where(matching.matched.unsqueeze(-1), errors, PENALTIES.to(errors))
    slots = torch.arange(errors.shape[1], device=errors.device)
    asked = filled[slots < matching.true_count.unsqueeze(-1)]
    return float(asked[:, :2].median()), float(asked[:, 2].median())


def test_medians_are_of_errors_that_were_made_and_what_is_missed_is_counted_apart(
    device: torch.device,
) -> None:
    table = one_found_of_many(device)
    scores, matching = summarise(table), table.matching

    assert (90.0, 10.0) == medians_with_penalties(matching)
    assert pytest.approx((1.0, 0.2)) == (scores.aoa_median, scores.range_median)
    assert pytest.approx((1.0, 0.2)) == (scores.aoa_p95, scores.range_p95)
    assert pytest.approx((1.0, 0.2)) == (scores.aoa_rmse, scores.range_rmse)
    assert torch.equal(matching.true_count - 1, matching.missed)
    assert torch.equal(matching.missed, (~matching.matched).sum(-1) - (5 - matching.true_count))
    assert bool(matching.errors[~matching.matched].isnan().all())
