"""Eigenvalues the loss can lean on: as many as it asks for, and never an exception."""

from dataclasses import replace

import torch
from torch import Tensor

from risexp.covariance.factored import FactoredCovariance


def leading(covariance: FactoredCovariance, most: int) -> Tensor:
    """The `most` largest eigenvalues, descending, (B, most) float64; NaN where R is not finite."""
    safe, sound = sound_scenes(covariance)
    found = safe.eigenvalues()[:, :most]
    # Beyond the rank of the factor every eigenvalue is the diagonal.
    rest = safe.diagonal.double().unsqueeze(-1).expand(-1, most - found.shape[-1])
    return torch.where(sound.unsqueeze(-1), torch.cat([found, rest], dim=-1), torch.nan)


def sound_scenes(covariance: FactoredCovariance) -> tuple[FactoredCovariance, Tensor]:
    """The covariance with scenes that are not finite made the identity, and which (B,) are sound.

    LAPACK raises on NaN; a loss must become NaN instead, so that its step is refused and named.
    """
    finite = torch.view_as_real(covariance.factor).isfinite().flatten(1).all(-1)
    sound = finite & covariance.diagonal.isfinite()
    factor = torch.where(sound[:, None, None], covariance.factor, 0.0)
    diagonal = torch.where(sound, covariance.diagonal, 1.0)
    return replace(covariance, factor=factor, diagonal=diagonal), sound
