"""Museum 25: K accuracy and success rested on different counts, the raw and the gated one."""

from dataclasses import replace

import pytest
import torch

from risexp.data.frames import Truth
from risexp.evaluation.scene_scores import score_scenes
from risexp.inference.estimate import Estimate
from tests.support.estimates import drawn_case, perfect, scores_of


def gated_right_raw_wrong(device: torch.device) -> tuple[Estimate, Truth]:
    """Every scene is answered perfectly, while the probabilities favour another count."""
    _, truth = drawn_case(2, scenes=100, device=device)
    other = truth.count % 5
    raw = torch.eye(5, dtype=torch.float64, device=device)[other]
    return replace(perfect(truth), count_probabilities=raw), truth


def two_counts(estimate: Estimate, truth: Truth) -> tuple[float, float]:
    """The scores of old: k_acc from the raw probabilities, success_rate from the gated count."""
    raw = estimate.count_probabilities.argmax(-1) + 1
    success = score_scenes(estimate, truth).success
    return float((raw == truth.count).double().mean()), float(success.double().mean())


def test_two_counts_locate_scenes_that_were_counted_wrong(device: torch.device) -> None:
    k_acc, success_rate = two_counts(*gated_right_raw_wrong(device))

    assert success_rate > k_acc


def test_the_count_that_was_answered_decides_everything(device: torch.device) -> None:
    estimate, truth = gated_right_raw_wrong(device)

    scores = scores_of(estimate, truth)

    assert (1.0, 1.0, -1.0) == (scores.k_acc, scores.success_rate, scores.k_loc)


@pytest.mark.parametrize("seed", range(10))
def test_no_scene_succeeds_that_is_counted_wrong(device: torch.device, seed: int) -> None:
    estimate, truth = drawn_case(seed, scenes=200, device=device)
    table = score_scenes(estimate, truth)

    assert not bool((table.success & ~table.hit).any())
    assert torch.equal(estimate.count == truth.count, table.hit)
    assert int(table.hit.sum()) == int(table.confusion.matrix.trace())
