"""Signal subspaces of factors, and projections on them whose gradient needs no eigenvector's.

Eigenvectors of equal eigenvalues have no derivative, but the projector on the k strongest has one
wherever lambda_k > lambda_k+1 (T. Kato, Perturbation Theory for Linear Operators, 1966, II.2):

    dP = sum over i <= k < j of (v_i v_i^H dR v_j v_j^H + its adjoint) / (lambda_i - lambda_j)

So eigenvectors are computed as constants, and the sum above is added with the value zero.
"""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from risexp.covariance.gram import gram

ORTHONORMAL_TOLERANCE = 1e-5
RANK_TOLERANCE = 1e-10
GAP_FLOOR = 1e-6
"""Smallest gap between eigenvalues that a gradient divides by, relative to the largest."""


@dataclass(frozen=True)
class Eigenbasis:
    """Eigenvectors of F F^H that span F, strongest first; constants."""

    vectors: Tensor
    """(B, N, r) complex128 with r = min(q, N); zero beyond the rank."""
    values: Tensor
    """(B, r) float64; zero beyond the rank."""

    @classmethod
    def of(cls, factor: Tensor) -> Self:
        """From the q x q Gram matrix of a factor, never from an N x N matrix."""
        wide = factor.detach().to(torch.complex128)
        values, rotation = torch.linalg.eigh(gram(wide))
        most = min(factor.shape[-2:])
        values, rotation = values.flip(-1)[:, :most], rotation.flip(-1)[..., :most]
        held = values > RANK_TOLERANCE * values[:, :1].clamp(min=1e-300)
        length = torch.where(held, values, 1.0).rsqrt() * held
        vectors = wide @ (rotation * length.unsqueeze(-2))
        _assert_orthonormal(vectors, held)
        return cls(vectors, torch.where(held, values, 0.0))

    def strongest(self, count: int | Tensor) -> Tensor:
        """Which columns are among a scene's `count` strongest, (B, r) float64 of ones and zeros."""
        wanted = torch.as_tensor(count, device=self.values.device).expand(len(self.values))
        places = torch.arange(self.values.shape[-1], device=self.values.device)
        return ((places < wanted.unsqueeze(-1)) & (self.values > 0)).double()


def turning(basis: Eigenbasis, signal: Tensor, factor: Tensor, steering: Tensor) -> Tensor:
    """How the projection P a turns with the factor: zero in value, dP a in its gradient.

    Args:
        basis: The eigenbasis of the factor.
        signal: Columns of the signal subspace, (B, r).
        factor: F, (B, N, q) complex, through which the gradient passes.
        steering: a, (N, G) or (B, N, G) complex.
    """
    wide, vectors = factor.to(torch.complex128), basis.vectors
    strongest = torch.where(basis.values[:, :1] > 0, basis.values[:, :1], 1.0)
    values = basis.values / strongest
    gaps = (values.unsqueeze(-1) - values.unsqueeze(-2)).clamp(min=GAP_FLOOR)
    pairs = signal.unsqueeze(-1) * (1.0 - signal).unsqueeze(-2) * (values > 0).unsqueeze(-2)
    inner = pairs / gaps
    outer = (signal / values.clamp(min=GAP_FLOOR)).unsqueeze(-1)
    scaled = wide * strongest.rsqrt().unsqueeze(-1)
    seen, along = vectors.mH @ scaled, vectors.mH @ steering.to(wide.dtype)
    beside = steering - vectors @ along
    coupled = inner * (seen @ seen.mH)
    inside = coupled @ along + coupled.mH @ along + outer * (seen @ (scaled.mH @ beside))
    strayed = scaled @ (seen.mH @ (outer * along))
    turned = vectors @ inside + strayed - vectors @ (vectors.mH @ strayed)
    turn: Tensor = turned - turned.detach()
    return turn.to(steering.dtype)


def _assert_orthonormal(vectors: Tensor, held: Tensor) -> None:
    """Batched complex `eigh` has been known to return other vectors than it should, silently."""
    error = vectors.mH @ vectors - torch.diag_embed(held.to(vectors.dtype))
    worst = float(error.abs().max()) if error.numel() else 0.0
    if not worst < ORTHONORMAL_TOLERANCE:
        message = f"eigenvectors are not orthonormal: |V^H V - I| reaches {worst:.1e}"
        raise ArithmeticError(message)
