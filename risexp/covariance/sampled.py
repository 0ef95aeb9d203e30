"""The sampled covariance: what the measurements alone say of the field on the panel, as a factor.

Neither estimate subtracts a mean over snapshots: under held symbols that mean is the signal.
"""

from typing import Literal

import torch
from torch import Tensor

from risexp.covariance.factored import FactoredCovariance
from risexp.physics.signals import pieces

Method = Literal["joint", "per_snapshot"]

_CACHED_ENTRIES = 166_000
"""Complex64 entries of normal matrices that are solved together."""


def sampled_covariance(
    method: Method, y: Tensor, channel: Tensor, codes: Tensor, ridge: float
) -> FactoredCovariance:
    """Estimate the covariance of the field from one scene's measurements.

    Args:
        method: `joint` for held symbols, `per_snapshot` for fresh ones.
        y: (B, L, M) complex.
        channel: H, (B, M, N) complex.
        codes: (L, N) or (B, L, N) complex, unit modulus.
        ridge: Tikhonov load relative to the mean eigenvalue of the normal matrix.

    Returns:
        F of (B, N, 1) or (B, N, L), not normalised.
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
