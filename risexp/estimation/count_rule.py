"""Rules for the number of sources after a pursuit: information criteria, or the evidence.

    bic       2 m ln(E_k / m) + c k ln(2 m),   aic  2 m ln(E_k / m) + 2 c k

with c real parameters a source. The evidence knows the laws of positions and powers as well:

    p(y | K) = sum over j of C(K, j) p(y | j sources, all seen) h_j^(K - j)

where the j sources are those of the pursuit, integrated over a Gaussian around them, and h_j is the
mean likelihood ratio of one more source that is too weak to be seen. The count answered maximises
P(K) + P(K and all seen), the expected hits plus the expected chances of a success.
"""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from risexp.estimation.fit import Fit
from risexp.estimation.pursuit import Law, Pursuit
from risexp.estimation.ranging import RangePosterior
from risexp.estimation.receiver_model import ReceiverModel, View

CountRule = Literal["evidence", "bic", "aic"]


def counted(
    rule: CountRule, pursuit: Pursuit, law: Law, ranges: Sequence[RangePosterior]
) -> tuple[Tensor, Tensor]:
    """The count (B,) int64 and the probabilities of 1 .. K_MAX, (B, K_MAX) float64.

    `pursuit` holds fits of 0 .. K_MAX sources, `ranges` the posteriors of their ranges.
    """
    if rule == "evidence":
        joint = log_joint(pursuit, law.receiver, ranges)
        weight = joint.flatten(1).softmax(-1).view_as(joint)
        probabilities = weight.sum(1)
        seen = weight[:, 1:].diagonal(dim1=1, dim2=2)
        return (probabilities + seen).argmax(-1) + 1, probabilities
    price = price_of_source(rule, law.samples, law.freedom)
    scores = [fit.profile - price * fit.count for fit in pursuit.fits[1:]]
    probabilities = torch.stack(scores, dim=-1).softmax(-1)
    return probabilities.argmax(-1) + 1, probabilities


def price_of_source(rule: Literal["bic", "aic"], samples: int, freedom: int) -> float:
    """What an information criterion takes for one more source, in log likelihood."""
    return freedom * (0.5 * math.log(2 * samples) if rule == "bic" else 1.0)


def log_joint(
    pursuit: Pursuit, receiver: ReceiverModel, ranges: Sequence[RangePosterior]
) -> Tensor:
    """Log p(y, j seen | K) for j = 0 .. K_MAX and K = 1 .. K_MAX, (B, K_MAX + 1, K_MAX)."""
    most = len(pursuit.fits) - 1
    evidence = [
        log_evidence(fit, receiver.view, believed)
        for fit, believed in zip(pursuit.fits, ranges, strict=True)
    ]
    rows = []
    for seen, own in enumerate(evidence):
        hidden = pursuit.hidden[:, min(seen, most - 1)]
        rows.append(
            torch.stack(
                [
                    own + (count - seen) * hidden + math.log(math.comb(count, seen))
                    if count >= seen
                    else torch.full_like(own, -torch.inf)
                    for count in range(1, most + 1)
                ],
                dim=-1,
            )
        )
    return torch.stack(rows, dim=1)


def log_evidence(fit: Fit, view: View, ranges: RangePosterior) -> Tensor:
    """Log p(y | sources near these), over all ways to number them, (B,)."""
    direction = view.log_direction_density(fit.points.double())
    known = fit.log_marginal + math.lgamma(fit.count + 1)
    return known + (direction + ranges.log_evidence()).sum(-1)
