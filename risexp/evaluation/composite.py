"""The composite score `k_loc`: counting and locating in one number that charges what is missing.

    k_loc = (1 - k_acc) + e_phi + e_theta + e_r - success_rate
    e_x   = sqrt(mean of min(c, |dx| / tolerance_x)^2 over all slots), max(K, K^) slots a scene

with c = 3; a slot without a pair counts c. Perfect is -1, the worst is 10.
"""

import torch
from torch import Tensor

from risexp.evaluation.matching import CAP, Matching


def slots(matching: Matching) -> Tensor:
    """Slots of each scene, max(K, K^), (B,) int64."""
    return torch.maximum(matching.true_count, matching.estimated_count)


def slot_errors(matching: Matching) -> Tensor:
    """Sum of min(c, |dx| / tolerance)^2 over a scene's slots for phi, theta, r; (B, 3) float64."""
    paired = matching.relative.clamp(max=CAP).square().nan_to_num(nan=0.0).sum(-2)
    alone = slots(matching) - matching.pairs
    return paired + CAP**2 * alone.unsqueeze(-1)


def k_loc(k_acc: Tensor, success_rate: Tensor, mean_slot_errors: Tensor) -> Tensor:
    """The composite of two rates (...) and the mean squared slot errors (..., 3)."""
    return (1.0 - k_acc) + mean_slot_errors.sqrt().sum(-1) - success_rate
