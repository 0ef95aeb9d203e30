"""The one covariance type: R = F F^H + d I, never formed.

F is (B, N, q) with q far below N, so everything is decided by q x q blocks. Those blocks are
computed in double precision, because they square the condition number or cancel; what runs over
grids of steering vectors stays in the factor's own precision.
"""

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from risexp.covariance.gram import gram
from risexp.covariance.subspace import Eigenbasis, turning

_CHUNK = 256
"""Grid columns handled at once: what stays in cache, and what bounds the memory."""
_CANCELLED = 0.03
"""Below this share of |a|^2 a single-precision difference has lost more digits than we allow."""


@dataclass(frozen=True)
class FactoredCovariance:
    """Covariances of B scenes as factors and diagonals, closed under all that is done to them."""

    factor: Tensor
    """F, (B, N, q) complex."""
    diagonal: Tensor
    """d, (B,) real, at least 0."""

    @classmethod
    def from_factor(cls, factor: Tensor) -> Self:
        """F F^H with nothing on the diagonal."""
        return cls(factor, factor.real.new_zeros(factor.shape[:-2]))

    @classmethod
    def from_sources(cls, steering: Tensor, powers: Tensor) -> Self:
        """sum_k power_k a_k a_k^H: what is true of incoherent sources.

        Args:
            steering: Steering vectors, (B, K, N) complex.
            powers: (B, K) real; zero for absent sources.
        """
        # The square root of a zero has no slope; a source without power has no gradient either.
        heard = powers > 0
        amplitude = torch.where(heard, powers, 1.0).sqrt() * heard
        return cls.from_factor((steering * amplitude.unsqueeze(-1)).mT)

    @property
    def elements(self) -> int:
        """Order of the matrix (N)."""
        return self.factor.shape[-2]

    def __getitem__(self, scenes: slice) -> Self:
        return replace(self, factor=self.factor[scenes], diagonal=self.diagonal[scenes])

    def detach(self) -> Self:
        """The same covariance, as a constant."""
        return replace(self, factor=self.factor.detach(), diagonal=self.diagonal.detach())

    def dense(self) -> Tensor:
        """The (B, N, N) matrix itself, for tests and export only."""
        eye = torch.eye(self.elements, dtype=self.factor.dtype, device=self.factor.device)
        return self.factor @ self.factor.mH + self.diagonal[:, None, None] * eye

    def trace(self) -> Tensor:
        """|F|^2 + N d, (B,)."""
        return _energy(self.factor) + self.elements * self.diagonal

    def trace_normalize(self, eps: float = 1e-30) -> Self:
        """Scaled to trace N; a covariance that is zero says nothing, and becomes the identity."""
        trace = self.trace()
        empty = trace <= eps
        scale = self.elements / torch.where(empty, self.elements, trace)
        diagonal = torch.where(empty, 1.0, self.diagonal * scale)
        return replace(self, factor=self.factor * _columns(scale.sqrt()), diagonal=diagonal)

    def blend(self, other: Self, beta: float | Tensor) -> Self:
        """(1 - beta) of this and beta of `other`, through which no gradient passes.

        Args:
            other: The samples.
            beta: One share for all, or (B,) real.
        """
        constant = other.detach()
        share = torch.as_tensor(beta, dtype=self.diagonal.dtype, device=self.diagonal.device)
        factors = [
            self.factor * _columns((1.0 - share).sqrt()),
            constant.factor * _columns(share.sqrt()),
        ]
        diagonal = (1.0 - share) * self.diagonal + share * constant.diagonal
        return replace(self, factor=torch.cat(factors, dim=-1), diagonal=diagonal)

    def regularise(self, alpha: float | Tensor) -> Self:
        """(1 - alpha) R + alpha (tr R / N) I, alpha one for all or (B,); eigenvectors stay."""
        share = torch.as_tensor(alpha, dtype=self.diagonal.dtype, device=self.diagonal.device)
        mean = self.trace() / self.elements
        diagonal = (1.0 - share) * self.diagonal + share * mean
        return replace(self, factor=self.factor * _columns((1.0 - share).sqrt()), diagonal=diagonal)

    def squared_norm(self) -> Tensor:
        """|R|_F^2, (B,) float64."""
        factor, diagonal = _double(self)
        energy: Tensor = _energy(gram(factor))
        return energy + 2.0 * diagonal * _energy(factor) + self.elements * diagonal.square()

    def squared_distance(self, other: Self) -> Tensor:
        """|R_1 - R_2|_F^2, (B,) float64.

        |F1^H F1|^2 + |F2^H F2|^2 - 2 |F2^H F1|^2 + 2 (d1 - d2)(|F1|^2 - |F2|^2) + N (d1 - d2)^2
        """
        (one, d_one), (two, d_two) = _double(self), _double(other)
        squares = _energy(gram(one)) + _energy(gram(two)) - 2.0 * _energy(two.mH @ one)
        gap = d_one - d_two
        traces = 2.0 * gap * (_energy(one) - _energy(two))
        distance: Tensor = squares + traces + self.elements * gap.square()
        return distance

    def nmse(self, label: Self) -> Tensor:
        """|R - label|_F^2 / |label|_F^2, (B,) float64."""
        distance: Tensor = self.squared_distance(label)
        return distance / label.squared_norm()

    def eigenvalues(self) -> Tensor:
        """The min(q, N) largest, descending, (B, .) float64; all others equal the diagonal."""
        factor, diagonal = _double(self)
        values = torch.linalg.eigvalsh(gram(factor)).clamp(min=0.0).flip(-1)
        largest: Tensor = values[:, : self.elements] + diagonal.unsqueeze(-1)
        return largest

    def signal_subspace(self, count: int | Tensor) -> Tensor:
        """Orthonormal eigenvectors of the `count` largest eigenvalues, (B, N, min(q, N)) complex.

        Columns beyond a scene's count, and beyond the rank of its factor, are zero. They are
        constants: what must carry a gradient goes through `music`.

        Args:
            count: One number for all scenes, or (B,) int.
        """
        basis = Eigenbasis.of(self.factor)
        kept = basis.vectors * basis.strongest(count).unsqueeze(-2)
        return kept.to(self.factor.dtype)

    def music(self, steering: Tensor, count: int | Tensor) -> Tensor:
        """Null spectrum |a - U U^H a|^2, whose minima are sources, (B, G) real.

        Args:
            steering: a, (N, G) or (B, N, G) complex.
            count: Dimension of the signal subspace, one for all or (B,).
        """
        basis = Eigenbasis.of(self.factor)
        signal = basis.strongest(count)
        most = int(signal.any(0).sum())
        kept = (basis.vectors * signal.unsqueeze(-2))[..., :most].to(self.factor.dtype)
        spectrum = []
        for part in torch.split(steering, _CHUNK, dim=-1):
            residual = part - kept @ (kept.mH @ part)
            if self.factor.requires_grad:
                residual = residual - turning(basis, signal, self.factor, part)
            spectrum.append(torch.view_as_real(residual).square().sum((-3, -1)))
        return torch.cat(spectrum, dim=-1)

    def mvdr(self, steering: Tensor) -> Tensor:
        """Capon spectrum 1 / (a^H R^-1 a), whose maxima are sources, (B, G) float64.

        By Woodbury a^H R^-1 a = (|a|^2 - |B a|^2) / d with B = L^-1 F^H and L L^H = F^H F + d I.
        Where the difference nearly vanishes, at sources, it is taken again in double precision.

        Args:
            steering: a, (N, G) or (B, N, G) complex.

        Raises:
            ValueError: A diagonal is zero, so that R has no inverse: regularise first.
        """
        if not bool((self.diagonal > 0).all()):
            message = "mvdr needs an invertible covariance: regularise it first"
            raise ValueError(message)
        factor, diagonal = _double(self)
        eye = torch.eye(factor.shape[-1], dtype=factor.dtype, device=factor.device)
        root = torch.linalg.cholesky(gram(factor) + diagonal[:, None, None] * eye)
        explained = torch.linalg.solve_triangular(root, factor.mH, upper=False)
        gap = _unexplained(explained.to(self.factor.dtype), steering).double()
        lengths = steering.abs().square().sum(-2).expand_as(gap)
        scene, point = (gap < _CANCELLED * lengths).nonzero(as_tuple=True)
        exact = _gather(steering, scene, point).to(factor.dtype)
        inside = torch.einsum("pqn,pn->pq", explained[scene], exact)
        refined = exact.abs().square().sum(-1) - inside.abs().square().sum(-1)
        # A steering vector of zeros has no gap at all; clamped, it leaves no NaN in a gradient.
        clear = gap.index_put((scene, point), refined).clamp(min=1e-30)
        return diagonal.unsqueeze(-1) / clear


def _double(covariance: FactoredCovariance) -> tuple[Tensor, Tensor]:
    return covariance.factor.to(torch.complex128), covariance.diagonal.double()


def _energy(matrix: Tensor) -> Tensor:
    """|X|_F^2 over the last two axes, without the square roots of `abs`."""
    return torch.view_as_real(matrix).square().sum((-3, -2, -1))


def _columns(scale: Tensor) -> Tensor:
    """A scale for each scene, or one for all, shaped to multiply (B, N, q)."""
    return scale[..., None, None]


def _unexplained(explained: Tensor, steering: Tensor) -> Tensor:
    """|a|^2 - |B a|^2, (B, G) real, by three real products in place of a complex one's four."""
    real, imag = explained.real.contiguous(), explained.imag.contiguous()
    both = real + imag
    gaps = []
    for part in torch.split(steering, _CHUNK, dim=-1):
        first, second = _apply(real, part.real), _apply(imag, part.imag)
        third = _apply(both, part.real + part.imag)
        inside = (first - second).square() + (third - first - second).square()
        gaps.append(part.abs().square().sum(-2) - inside.sum(-2))
    return torch.cat(gaps, dim=-1)


def _apply(rows: Tensor, columns: Tensor) -> Tensor:
    """(B, q, N) on (N, G) or (B, N, G); a shared grid is met by all scenes' rows in one product."""
    if columns.ndim == 3:
        return rows @ columns
    batch, size, elements = rows.shape
    return (rows.reshape(-1, elements) @ columns).view(batch, size, -1)


def _gather(steering: Tensor, scene: Tensor, point: Tensor) -> Tensor:
    """The steering vectors of single grid points, (P, N)."""
    return steering.mT[point] if steering.ndim == 2 else steering.mT[scene, point]
