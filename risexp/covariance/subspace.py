"""Signal subspaces, Gram matrices and whitened energies of factors, without an N x N matrix.

The projection on a signal subspace needs no eigenvector's gradient. Eigenvectors of equal
eigenvalues have no derivative, but the projector on the k strongest has one wherever
lambda_k > lambda_k+1 (T. Kato, Perturbation Theory for Linear Operators, 1966, II.2):

    dP = sum over i <= k < j of (v_i v_i^H dR v_j v_j^H + its adjoint) / (lambda_i - lambda_j)

So eigenvectors are computed as constants, and the sum above is added with the value zero.
"""

from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

ORTHONORMAL_TOLERANCE = 1e-5
RANK_TOLERANCE = 1e-10
GAP_FLOOR = 1e-6
"""Smallest gap between eigenvalues that a gradient divides by, relative to the largest."""

CANCELLED = 0.03
"""Below this share of |a|^2 a single-precision difference has lost more digits than we allow."""
_MANY = 0.02
"""Share of a chunk's points beyond which all of them are taken in double precision."""
_CHUNK = 256
"""Columns handled at once: what stays in cache, and what bounds the memory."""


def gram(factor: Tensor) -> Tensor:
    """F^H F, (B, q, q) complex."""
    product: Tensor = _Gram.apply(factor)  # type: ignore[no-untyped-call]
    return product


class _Gram(torch.autograd.Function):
    """Autograd sees two factors and multiplies twice; F (g + g^H) is the same in one product."""

    @staticmethod
    def forward(ctx: Any, factor: Tensor) -> Tensor:  # noqa: ANN401 - torch gives it no type
        ctx.save_for_backward(factor)
        return factor.mH @ factor

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # noqa: ANN401
        (factor,) = ctx.saved_tensors
        product: Tensor = factor @ (gradient + gradient.mH)
        return product


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
        counts = torch.as_tensor(count, device=self.values.device).expand(len(self.values))
        places = torch.arange(self.values.shape[-1], device=self.values.device)
        return ((places < counts.unsqueeze(-1)) & (self.values > 0)).double()


def turning(basis: Eigenbasis, signal: Tensor, factor: Tensor, steering: Tensor) -> Tensor:
    """How the projection P a turns with the factor: zero in value, dP a in its gradient.

    `signal` (B, r) marks the columns of the signal subspace; the gradient passes through `factor`.
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


def unexplained(explained: Tensor, steering: Tensor) -> Tensor:
    """|a|^2 - |B a|^2, (B, G) float64.

    `explained`, B, is (B, q, N) complex128; `steering`, a, is (N, G) or (B, N, G) complex.
    """
    rows = Rows.of(explained) if steering.dtype == torch.complex64 else None
    parts = torch.split(steering, _CHUNK, dim=-1)
    return torch.cat([_difference(explained, rows, part) for part in parts], dim=-1)


@dataclass(frozen=True)
class Rows:
    """B in single precision, as the three real factors of a complex product."""

    real: Tensor
    imag: Tensor
    both: Tensor

    @classmethod
    def of(cls, explained: Tensor) -> Self:
        """Real part, imaginary part and their sum."""
        real, imag = explained.real.float().contiguous(), explained.imag.float().contiguous()
        return cls(real, imag, real + imag)

    def energy(self, steering: Tensor) -> Tensor:
        """|B a|^2 by three real products; a complex product takes four."""
        first, second = _apply(self.real, steering.real), _apply(self.imag, steering.imag)
        third = _apply(self.both, steering.real + steering.imag)
        return ((first - second).square() + (third - first - second).square()).sum(-2)


def _difference(explained: Tensor, rows: Rows | None, steering: Tensor) -> Tensor:
    """In single precision where that holds, again in double for the few points where it does not.

    Where many do not, taking all of them in double costs less than picking them out.
    """
    wide = steering.to(explained.dtype)
    if rows is None:
        return _energy(wide) - _energy(_apply(explained, wide))
    lengths = _energy(steering)
    gap = lengths - rows.energy(steering)
    scene, point = (gap < CANCELLED * lengths).nonzero(as_tuple=True)
    if len(scene) > _MANY * gap.numel():
        return _energy(wide) - _energy(_apply(explained, wide))
    picked = wide.mT[point] if wide.ndim == 2 else wide.mT[scene, point]
    inside = torch.einsum("pqn,pn->pq", explained[scene], picked)
    exact = picked.abs().square().sum(-1) - inside.abs().square().sum(-1)
    return gap.double().index_put((scene, point), exact)


def _energy(columns: Tensor) -> Tensor:
    """Squared length of every column, over the second last axis."""
    return torch.view_as_real(columns).square().sum((-3, -1))


def _apply(rows: Tensor, columns: Tensor) -> Tensor:
    """(B, q, N) on (N, G) or (B, N, G); a shared grid is met by all scenes' rows in one product."""
    if columns.ndim == 3:
        return rows @ columns
    batch, size, elements = rows.shape
    product = rows.reshape(batch * size, elements) @ columns
    return product.view(batch, size, columns.shape[-1])
