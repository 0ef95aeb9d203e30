"""Museum 22: true matches were dropped when there were extra estimates.

The assignment was padded to a square, and only its first K rows were read: an estimate in a later
row lost its source, however near it was.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from risexp.data.frames import Truth
from risexp.estimation.assignment import assign, paired_values
from risexp.evaluation.matching import CAP, TOLERANCE, match
from risexp.inference.estimate import Estimate
from tests.support.estimates import (
    drawn_case,
    estimate_of,
    perfect,
    shuffled_estimate,
    truth_of,
    with_extra,
)

FAR = (85.0, 80.0, 300.0)


def ours(estimate: Estimate, truth: Truth) -> Tensor:
    """(B,) how many sources are matched within the tolerances."""
    return (match(estimate, truth).relative <= 1.0).all(-1).sum(-1)


def first_rows(estimate: Estimate, truth: Truth) -> Tensor:
    """The matching of old: one row an estimate, and of its rows as many as there are sources."""
    off = torch.stack(
        [
            (estimate.phi_rad.unsqueeze(-1) - truth.phi_rad.unsqueeze(-2)).rad2deg(),
            (estimate.theta_rad.unsqueeze(-1) - truth.theta_rad.unsqueeze(-2)).rad2deg(),
            estimate.range_m.unsqueeze(-1) - truth.range_m.unsqueeze(-2),
        ],
        dim=-1,
    )
    relative = off.abs() / off.new_tensor(TOLERANCE)
    both = estimate.present.unsqueeze(-1) & truth.present.unsqueeze(-2)
    cost = torch.where(both, relative.clamp(max=CAP).square().sum(-1).sqrt(), 10.0)
    padded = F.pad(cost, (0, cost.shape[1] - cost.shape[2]), value=10.0)
    everyone = torch.ones_like(padded[:, 0], dtype=torch.bool)
    partner = assign(padded, everyone, everyone)
    near = paired_values((both & (relative <= 1.0).all(-1)).double(), partner.clamp(max=4), 0.0)
    places = torch.arange(near.shape[1], device=near.device)
    kept = (places < truth.count.unsqueeze(-1)) & (partner < truth.count.unsqueeze(-1))
    return (near.bool() & kept).sum(-1)


def test_the_first_rows_lose_a_source_that_was_found(device: torch.device) -> None:
    source = (10.0, 5.0, 4.0)
    truth = truth_of([source], device=device)

    late = estimate_of([FAR, source], device=device)
    early = estimate_of([source, FAR], device=device)

    assert ([0], [1]) == (first_rows(late, truth).tolist(), first_rows(early, truth).tolist())
    assert ([1], [1]) == (ours(late, truth).tolist(), ours(early, truth).tolist())


def test_no_source_is_lost_to_extra_estimates(device: torch.device) -> None:
    _, truth = drawn_case(1, scenes=320, device=device)
    estimate = perfect(truth)
    for extra in range(3):
        estimate = shuffled_estimate(with_extra(estimate, FAR), extra)

    assert torch.equal(truth.count, ours(estimate, truth))
    assert bool((first_rows(estimate, truth) < truth.count).any())
