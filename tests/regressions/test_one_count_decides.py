"""Museum 25: K accuracy and success rested on different counts, the raw and the gated one."""

from dataclasses import replace

import torch

from risexp.evaluation.scene_scores import score_scenes
from tests.support.estimates import drawn_case, perfect, scores_of


def test_the_count_that_was_answered_decides_everything(device: torch.device) -> None:
    """Every scene is answered perfectly, while the probabilities favour another count."""
    _, truth = drawn_case(2, scenes=100, device=device)
    raw = torch.eye(5, dtype=torch.float64, device=device)[truth.count % 5]
    estimate = replace(perfect(truth), count_probabilities=raw)

    scores = scores_of(estimate, truth)

    # The scores of old: k_acc of the raw probabilities, success of the gated count.
    assert not bool((raw.argmax(-1) + 1 == truth.count).any())
    assert (1.0, 1.0, -1.0) == (scores.k_acc, scores.success_rate, scores.k_loc)
    assert scores_of(perfect(truth), truth) == scores


def test_no_scene_succeeds_that_is_counted_wrong(device: torch.device) -> None:
    estimate, truth = drawn_case(2, scenes=2000, device=device)
    table = score_scenes(estimate, truth)

    assert not bool((table.success & ~table.hit).any())
    assert torch.equal(estimate.count == truth.count, table.hit)
    assert int(table.hit.sum()) == int(table.confusion.matrix.trace())
