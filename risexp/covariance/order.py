"""How many sources a spectrum of eigenvalues shows, by information criteria in log form.

    MDL(k) = -L (p - k) log(GM / AM of the p - k smallest) + k (2 p - k) log(L) / 2
    AIC(k) = -2 L (p - k) log(GM / AM of the p - k smallest) + 2 k (2 p - k)

(M. Wax, T. Kailath, Detection of signals by information theoretic criteria, IEEE Trans. ASSP 33,
1985.) The p eigenvalues are the min(N, L) that can differ from zero; the products of the textbook
form would underflow for 144 of them.
"""

import math
from typing import Literal

import torch
from torch import Tensor

Criterion = Literal["mdl", "aic"]


def order_scores(
    criterion: Criterion, eigenvalues: Tensor, snapshots: int, most: int, *, eps: float = 1e-12
) -> Tensor:
    """Scores of k = 0 .. most, the smaller the better, (B, most + 1) float64.

    Args:
        criterion: Which penalty.
        eigenvalues: Descending, (B, p) real, p = min(N, L).
        snapshots: L.
        most: Largest order asked about; orders that leave no noise eigenvalue score infinity.
        eps: Floor of the eigenvalues relative to the largest.

    Raises:
        ValueError: There is no noise eigenvalue to compare with, or a value is not finite.
    """
    values = eigenvalues.double()
    p = values.shape[-1]
    if p < 2 or not bool(values.isfinite().all()):
        message = f"an order needs at least two finite eigenvalues a scene, not {p} of them"
        raise ValueError(message)
    logs = values.clamp(min=eps * values[:, :1].clamp(min=1e-300)).log()
    scores = torch.full(
        (len(values), most + 1), torch.inf, dtype=torch.float64, device=values.device
    )
    for k in range(min(most + 1, p)):
        tail = logs[:, k:]
        ratio = tail.mean(-1) - (tail.logsumexp(-1) - math.log(p - k))
        misfit = -snapshots * (p - k) * ratio
        freedom = k * (2 * p - k)
        if criterion == "mdl":
            scores[:, k] = misfit + 0.5 * freedom * math.log(snapshots)
        else:
            scores[:, k] = 2.0 * misfit + 2.0 * freedom
    return scores


def order(criterion: Criterion, eigenvalues: Tensor, snapshots: int, most: int) -> Tensor:
    """The count in 1 .. most that scores best, (B,) int64."""
    return order_scores(criterion, eigenvalues, snapshots, most)[:, 1:].argmin(-1) + 1
