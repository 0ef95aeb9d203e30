"""A fit of sources to measurements, and the Gaussian that its likelihood resembles (Laplace)."""

import math
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

_VAGUE = 0.1
"""Prior precision along rho, in 1 / width^2: it only keeps a flat likelihood's spread finite, for
the law of the ranges is put in exactly afterwards."""
_NUISANCE = 1e-2
"""Prior precision of parameters after the positions, such as log powers."""
_ROUNDING = 1e-10


@dataclass(frozen=True)
class Fit:
    """k sources fitted to each of B scenes; the likelihood near them is taken as Gaussian."""

    points: Tensor
    """(B, k, 3) float32: u, v, rho."""
    powers: Tensor
    """(B, k) float64: |gain|^2, or mean power under fresh symbols."""
    power_spread: Tensor
    """(B, k) float64: variance of a gain, or standard deviation of a log power."""
    profile: Tensor
    """(B,) float64: log likelihood that an information criterion compares."""
    log_marginal: Tensor
    """(B,) float64: log likelihood integrated over powers, by their law at these ranges, and over
    the Gaussian of positions."""
    rho_mean: Tensor
    """(B, k) float64: where its peak along rho would lie if the view had no limits."""
    rho_spread: Tensor
    """(B, k) float64: standard deviation of rho."""

    @property
    def count(self) -> int:
        """Number of sources (k)."""
        return self.points.shape[1]


@dataclass(frozen=True)
class Scan:
    """What one more source at each grid point would explain."""

    gain: Tensor
    """(B, G): increase of the log likelihood at the best power."""
    log_odds: Tensor
    """(B, G): log likelihood ratio averaged over the power law at that point's range."""


@dataclass(frozen=True)
class Gaussian:
    """Volume of the whole, and the marginal along each source's rho."""

    log_volume: Tensor
    """(B,) float64: log integral of exp(-x^T F x / 2)."""
    rho_mean: Tensor
    """(B, k) float64"""
    rho_spread: Tensor
    """(B, k) float64"""
    variance: Tensor
    """(B, P) float64: of every parameter."""

    @classmethod
    def of(
        cls,
        information: Tensor,
        slope: Tensor,
        rho: Tensor,
        extent: tuple[float, float, float],
    ) -> Self:
        """Condense the information about positions and nuisance parameters.

        Args:
            information: (B, P, P): over u of all k sources, v, rho, then nuisance parameters.
            slope: Gradient of the log likelihood, (B, P).
            rho: Where it was taken, (B, k).
            extent: Widths of the view along u, v and rho, which bound what is not known.
        """
        count = rho.shape[-1]
        widths = torch.tensor(extent, dtype=torch.float64, device=rho.device)
        # 12 / width^2 is the precision of a uniform law.
        least = torch.tensor([12.0, 12.0, _VAGUE], dtype=torch.float64, device=rho.device)
        prior = torch.full_like(slope, _NUISANCE)
        prior[:, : 3 * count] = (least / widths.square()).repeat_interleave(count)
        precision = information + torch.diag_embed(prior)
        # Two sources of huge, opposed gains can round a precision below zero: it is then no more
        # than the prior's, and the volume that of independent parameters.
        scale = precision.diagonal(dim1=-2, dim2=-1).maximum(prior).rsqrt()
        eye = torch.eye(slope.shape[-1], dtype=slope.dtype, device=slope.device)
        unit = precision * scale.unsqueeze(-1) * scale.unsqueeze(-2) + _ROUNDING * eye
        root, failed = torch.linalg.cholesky_ex(unit)
        root = torch.where((failed > 0)[:, None, None], eye, root)
        log_volume = (
            0.5 * slope.shape[-1] * math.log(2.0 * math.pi)
            - log_diagonal(root)
            + scale.log().sum(-1)
        )
        covariance = torch.cholesky_inverse(root) * scale.unsqueeze(-1) * scale.unsqueeze(-2)
        along = slice(2 * count, 3 * count)
        variance = covariance.diagonal(dim1=-2, dim2=-1).clamp(min=1e-300)
        ahead = (covariance[:, along] @ slope.unsqueeze(-1)).squeeze(-1)
        mean = rho.double() + ahead.clamp(-extent[2], extent[2])
        return cls(log_volume, mean, variance[:, along].sqrt(), variance)


def log_diagonal(root: Tensor) -> Tensor:
    """Sum of the logs of a triangular root's diagonal, (B,): half a log determinant."""
    return root.diagonal(dim1=-2, dim2=-1).real.clamp(min=1e-300).log().sum(-1)
