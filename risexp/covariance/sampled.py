"""The sampled covariance as a factor, and the number of sources its eigenvalues show.

No estimate subtracts a mean over snapshots: under held symbols that mean is the signal.

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

from risexp.covariance.factored import FactoredCovariance
from risexp.physics.signals import pieces

Method = Literal["joint", "per_snapshot"]

_CACHED_ENTRIES = 166_000
"""Complex64 entries of normal matrices that are solved together."""

Criterion = Literal["mdl", "aic"]


def sampled_covariance(
    method: Method, y: Tensor, channel: Tensor, codes: Tensor, ridge: float
) -> FactoredCovariance:
    """Estimate the covariance of the field from each scene's measurements; it is not normalised.

    `joint` is for held symbols, its factor (B, N, 1); `per_snapshot` for fresh ones, (B, N, L). The
    `ridge` is relative to the mean eigenvalue of the normal matrix.
    """
    match method:
        case "joint":
            field = joint_field(y, channel, codes, ridge)
            return FactoredCovariance.from_factor(field.unsqueeze(-1))
        case "per_snapshot":
            fields = snapshot_fields(y, channel, codes, ridge)
            return FactoredCovariance.from_factor(fields.mT / fields.shape[-2] ** 0.5)


def joint_field(y: Tensor, channel: Tensor, codes: Tensor, ridge: float) -> Tensor:
    """Ridge solution x (B, N) of all L M equations y_l = H diag(c_l) x.

    (G^H G + a I) x = G^H y,   G^H G = (H^H H) o (C^H C),   a = ridge tr(G^H G) / N
    """
    parts = pieces(_scenes_in_cache(channel), channel, codes, y)
    return torch.cat([_solve_jointly(*part, ridge) for part in parts])


def _solve_jointly(channel: Tensor, codes: Tensor, y: Tensor, ridge: float) -> Tensor:
    gram = (channel.mH @ channel) * (codes.mH @ codes)
    seen = (codes.conj() * (y @ channel.conj())).sum(-2)
    root = _root(gram, ridge)
    return torch.cholesky_solve(seen.unsqueeze(-1), root).squeeze(-1)


def _scenes_in_cache(channel: Tensor) -> int:
    """How many N x N systems to solve at once: on CPU, what a core's cache holds (3x faster)."""
    if channel.device.type != "cpu":
        return max(len(channel), 1)
    return max(_CACHED_ENTRIES // channel.shape[-1] ** 2, 1)


def snapshot_fields(y: Tensor, channel: Tensor, codes: Tensor, ridge: float) -> Tensor:
    """Ridge solutions x_l (B, L, N), each from the M equations of its own snapshot.

    x_l = Phi_l^H (Phi_l Phi_l^H + a I)^-1 y_l,   Phi_l = H diag(c_l),   a = ridge tr(H H^H) / M

    As |c| = 1, Phi_l Phi_l^H = H H^H: one M x M Cholesky serves all snapshots of a scene.
    """
    root = _root(channel @ channel.mH, ridge)
    weights = torch.cholesky_solve(y.mT, root).mT
    return codes.conj() * (weights @ channel.conj())


def _root(gram: Tensor, ridge: float, eps: float = 1e-30) -> Tensor:
    """Cholesky root of the loaded normal matrix; a channel of zeros is loaded too.

    `cholesky_ex` does not make the host wait; with its load the matrix has a root.
    """
    mean = gram.diagonal(dim1=-2, dim2=-1).real.mean(-1)
    load = torch.where(mean > eps, ridge * mean, 1.0)
    eye = torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
    root: Tensor = torch.linalg.cholesky_ex(gram + load[:, None, None] * eye).L
    return root


def order_scores(
    criterion: Criterion, eigenvalues: Tensor, snapshots: int, most: int, *, eps: float = 1e-12
) -> Tensor:
    """Scores of k = 0 .. most, the smaller the better, (B, most + 1) float64.

    Args:
        criterion: Which penalty.
        eigenvalues: Descending, (B, p) real, p = min(N, L).
        snapshots: L.
        most: Largest order; orders that leave no noise eigenvalue score infinity.
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
