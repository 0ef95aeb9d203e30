"""The one covariance type: R = F F^H + d I, never formed.

F is (B, N, q) with q far below N, so everything is decided by q x q blocks. Those blocks are
computed in double precision, because they square the condition number or cancel; what runs over
grids of steering vectors stays in the factor's own precision.
"""

import math
from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor

from risexp.covariance.subspace import Eigenbasis, gram, turning, unexplained

_CHUNK = 256
"""Grid columns handled at once: what stays in cache, and what bounds the memory."""


@dataclass(frozen=True)
class FactoredCovariance:
    """Covariances of B scenes as factors and diagonals, closed under all that is done to them."""

    factor: Tensor
    """F, (B, N, q) complex."""
    diagonal: Tensor
    """d, (B,) real, at least 0."""

    def __post_init__(self) -> None:
        if self.factor.ndim != 3 or self.diagonal.shape != self.factor.shape[:1]:
            message = (
                f"a factor (B, N, q) goes with a diagonal (B,), not {tuple(self.factor.shape)} "
                f"with {tuple(self.diagonal.shape)}"
            )
            raise ValueError(message)

    def __len__(self) -> int:
        return len(self.factor)

    @classmethod
    def from_factor(cls, factor: Tensor) -> Self:
        """F F^H with nothing on the diagonal."""
        return cls(factor, factor.real.new_zeros(factor.shape[:-2]))

    @classmethod
    def from_sources(cls, steering: Tensor, powers: Tensor) -> Self:
        """sum_k power_k a_k a_k^H: what is true of incoherent sources.

        `steering` is (B, K, N) complex, `powers` (B, K) real, zero for absent sources.
        """
        # The square root of a zero has no slope; a source without power has no gradient either.
        # Negative powers and NaN go through the root, and stay visible.
        silent = powers == 0
        amplitude = torch.where(silent, 1.0, powers).sqrt() * ~silent
        return cls.from_factor((steering * amplitude.unsqueeze(-1)).mT)

    @property
    def elements(self) -> int:
        """Order of the matrix (N)."""
        return self.factor.shape[-2]

    def __getitem__(self, scenes: slice) -> Self:
        return replace(self, factor=self.factor[scenes], diagonal=self.diagonal[scenes])

    def to(self, target: torch.device | str) -> Self:
        """The same covariance on another device."""
        return replace(self, factor=self.factor.to(target), diagonal=self.diagonal.to(target))

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

    def trace_normalize(self, eps: float = 1e-18) -> Self:
        """Scaled to trace N; a covariance that is zero says nothing, and becomes the identity.

        The scale is taken out in two steps, because the gradient divides by the square of the
        trace: first by the largest entry, a constant, then by what is left of the trace.

        Entries of the factor and roots of the diagonal up to `eps` count as zero.
        """
        entries = self.factor.detach().abs().flatten(1).amax(-1)
        largest = torch.maximum(entries, self.diagonal.detach().clamp(min=0.0).sqrt())
        empty = largest <= eps
        unit = torch.where(empty, 1.0, largest.clamp(min=eps)).reciprocal()
        factor = self.factor * _columns(unit)
        diagonal = torch.where(empty, 1.0, self.diagonal * unit * unit)
        trace = torch.where(empty, 0.0, _energy(factor)) + self.elements * diagonal
        scale = self.elements / trace
        return replace(self, factor=factor * _columns(scale.sqrt()), diagonal=diagonal * scale)

    def blend(self, other: Self, beta: float | Tensor) -> Self:
        """(1 - beta) of this and beta of `other`, through which no gradient passes.

        `beta` is one share for all scenes, or (B,).
        """
        constant = other.detach()
        _expect_scenes(self, other.diagonal)
        rest, share = _shares(self, beta)
        factors = [
            self.factor * _columns(_root(rest)),
            constant.factor * _columns(_root(share)),
        ]
        diagonal = rest * self.diagonal + share * constant.diagonal
        return replace(self, factor=torch.cat(factors, dim=-1), diagonal=diagonal)

    def regularise(self, alpha: float | Tensor) -> Self:
        """(1 - alpha) R + alpha (tr R / N) I, alpha one for all or (B,); eigenvectors stay."""
        rest, share = _shares(self, alpha)
        mean = self.trace() / self.elements
        diagonal = rest * self.diagonal + share * mean
        return replace(self, factor=self.factor * _columns(_root(rest)), diagonal=diagonal)

    def squared_norm(self) -> Tensor:
        """|R|_F^2, (B,) float64."""
        factor, diagonal = _double(self)
        energy: Tensor = _energy(gram(factor))
        return energy + 2.0 * diagonal * _energy(factor) + self.elements * diagonal.square()

    def squared_distance(self, other: Self) -> Tensor:
        """|R_1 - R_2|_F^2, (B,) float64.

        |F1^H F1|^2 + |F2^H F2|^2 - 2 |F2^H F1|^2 + 2 (d1 - d2)(|F1|^2 - |F2|^2) + N (d1 - d2)^2
        """
        return self._compared(other)[0]

    def nmse(self, label: Self) -> Tensor:
        """|R - label|_F^2 / |label|_F^2, (B,) float64."""
        distance, norm = self._compared(label)
        return distance / norm

    def _compared(self, other: Self) -> tuple[Tensor, Tensor]:
        """Squared distance to the other and the other's squared norm, which share their blocks."""
        _expect_scenes(self, other.diagonal)
        (one, d_one), (two, d_two) = _double(self), _double(other)
        power_one, power_two, own = _energy(one), _energy(two), _energy(gram(two))
        gap = d_one - d_two
        squares = _energy(gram(one)) + own - 2.0 * _energy(two.mH @ one)
        traces = 2.0 * gap * (power_one - power_two) + self.elements * gap.square()
        norm = own + 2.0 * d_two * power_two + self.elements * d_two.square()
        return squares + traces, norm

    def eigenvalues(self) -> Tensor:
        """The min(q, N) largest, descending, (B, .) float64; all others equal the diagonal.

        `eigvalsh` waits for a GPU once; there is no form of it that does not.
        """
        factor, diagonal = _double(self)
        values = torch.linalg.eigvalsh(gram(factor)).clamp(min=0.0).flip(-1)
        largest: Tensor = values[:, : self.elements] + diagonal.unsqueeze(-1)
        return largest

    def signal_subspace(self, count: int | Tensor) -> Tensor:
        """Orthonormal eigenvectors of the `count` largest eigenvalues, (B, N, min(q, N)) complex.

        Columns beyond a scene's count, and beyond the rank of its factor, are zero. They are
        constants: what must carry a gradient goes through `music`.

        `count` is one number for all scenes, or (B,) int.
        """
        basis = Eigenbasis.of(self.factor)
        kept = basis.vectors * basis.strongest(count).unsqueeze(-2)
        return kept.to(self.factor.dtype)

    def music(self, steering: Tensor, count: int | Tensor) -> Tensor:
        """Null spectrum |a - U U^H a|^2, whose minima are sources, (B, G) real.

        `steering` is (N, G) or (B, N, G) complex; `count`, the signal subspace's dimension, one for
        all or (B,).
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

        `steering` is (N, G) or (B, N, G) complex.

        Raises:
            ValueError: A diagonal is zero, so that R has no inverse: regularise first.
        """
        explained, diagonal = self.whitening(), self.diagonal.double()
        # A steering vector of zeros has no gap at all; clamped, it leaves no NaN in a gradient.
        return diagonal.unsqueeze(-1) / unexplained(explained, steering).clamp(min=1e-30)

    def whitening(self) -> Tensor:
        """B = L^-1 F^H with L L^H = F^H F + d I, (B, q, N) complex128: d R^-1 = I - B^H B.

        Raises:
            ValueError: A diagonal is zero, so that R has no inverse: regularise first.
        """
        if not bool((self.diagonal > 0).all()):
            message = "mvdr needs an invertible covariance: regularise it first"
            raise ValueError(message)
        factor, diagonal = _double(self)
        eye = torch.eye(factor.shape[-1], dtype=factor.dtype, device=factor.device)
        root = torch.linalg.cholesky(gram(factor) + diagonal[:, None, None] * eye)
        rows: Tensor = torch.linalg.solve_triangular(root, factor.mH, upper=False)
        return rows


def _double(covariance: FactoredCovariance) -> tuple[Tensor, Tensor]:
    return covariance.factor.to(torch.complex128), covariance.diagonal.double()


def _energy(matrix: Tensor) -> Tensor:
    """|X|_F^2 over the last two axes, without the square roots of `abs`."""
    return torch.view_as_real(matrix).square().sum((-3, -2, -1))


def _columns(scale: float | Tensor) -> float | Tensor:
    """A scale for each scene, shaped to multiply (B, N, q); one for all stays as it is."""
    return scale[:, None, None] if isinstance(scale, Tensor) else scale


def _root(share: float | Tensor) -> float | Tensor:
    return share.sqrt() if isinstance(share, Tensor) else math.sqrt(share)


def _shares(covariance: FactoredCovariance, share: float | Tensor) -> tuple[Any, Any]:
    """What is left and what is added: numbers stay numbers, which no device has to wait for."""
    if isinstance(share, Tensor):
        _expect_scenes(covariance, share)
        real = share.to(covariance.diagonal)
        return 1.0 - real, real
    if not 0.0 <= share <= 1.0:
        message = f"a share of {share} lies outside [0, 1]"
        raise ValueError(message)
    return 1.0 - share, share


def _expect_scenes(covariance: FactoredCovariance, values: Tensor) -> None:
    """One value a scene: anything else would broadcast into a plausible wrong answer."""
    if values.shape != covariance.diagonal.shape:
        message = f"{tuple(values.shape)} values go with {len(covariance)} scenes"
        raise ValueError(message)
