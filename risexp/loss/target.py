"""The labels that the loss compares with, built once a batch without waiting for the device."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import torch
from torch import Tensor

from risexp.config.learning import LabelPower
from risexp.covariance.effective import effective
from risexp.covariance.factored import FactoredCovariance
from risexp.data.frames import Truth
from risexp.data.scenes import source_steering
from risexp.physics.geometry import Panel

Points = tuple[Tensor, Tensor, Tensor]
"""phi (rad), theta (rad) and rho (1/m), of one shape."""


@dataclass(frozen=True)
class Target:
    """The labels of B scenes; absent sources hold zeros, never NaN."""

    panel: Panel
    snr_db: Tensor
    """(B,) real."""
    alpha_base: float
    """Slope of the regularisation; prediction and label share it."""
    covariance: FactoredCovariance
    """The label R = A diag(power) A^H, of trace N."""
    effective: FactoredCovariance
    """The label regularised by the SNR, as inference would see it."""
    steering: Tensor
    """(B, K_MAX, N) complex64 of the true sources."""
    present: Tensor
    """(B, K_MAX) bool: which slots hold a source."""
    phi_rad: Tensor
    """(B, K_MAX) float32"""
    theta_rad: Tensor
    """(B, K_MAX) float32"""
    rho: Tensor
    """Inverse range in 1/m, (B, K_MAX) float32."""
    count: Tensor
    """(B,) int64: K, at least 1."""

    @classmethod
    def of(
        cls,
        panel: Panel,
        truth: Truth,
        snr_db: Tensor,
        alpha_base: float,
        label_power: LabelPower = "linear",
    ) -> Self:
        """Build the labels; `compressed` takes the square roots of the powers."""
        steering, present = source_steering(panel, truth), truth.present
        powers = truth.powers if label_power == "linear" else truth.powers.sqrt()
        label = FactoredCovariance.from_sources(steering, powers).trace_normalize()
        return cls(
            panel=panel,
            snr_db=snr_db,
            alpha_base=alpha_base,
            covariance=label,
            effective=effective(label, snr_db, alpha_base=alpha_base),
            steering=steering,
            present=present,
            phi_rad=torch.where(present, truth.phi_rad, 0.0).float(),
            theta_rad=torch.where(present, truth.theta_rad, 0.0).float(),
            rho=torch.where(present, truth.range_m.reciprocal(), 0.0).float(),
            count=truth.count,
        )

    def __len__(self) -> int:
        return len(self.count)

    @property
    def sources_max(self) -> int:
        """Largest number of sources (K_MAX)."""
        return self.present.shape[1]

    @property
    def points(self) -> Points:
        """Azimuth, elevation and inverse range of the sources, each (B, K_MAX)."""
        return self.phi_rad, self.theta_rad, self.rho

    @cached_property
    def spectrum(self) -> Tensor:
        """The K_MAX + 1 largest eigenvalues of the effective label, (B, K_MAX + 1) float64."""
        return leading_eigenvalues(self.effective, self.sources_max + 1)

    def over_sources(self, values: Tensor) -> Tensor:
        """The mean over the present sources of values (B, K_MAX), (B,)."""
        kept = torch.where(self.present, values, 0.0)
        return kept.sum(-1) / self.count.clamp(min=1)


def leading_eigenvalues(covariance: FactoredCovariance, most: int) -> Tensor:
    """The `most` largest eigenvalues, descending, (B, most) float64; NaN where R is not finite."""
    safe, sound = sound_scenes(covariance)
    values = safe.eigenvalues()[:, :most]
    # Beyond the rank of the factor every eigenvalue is the diagonal.
    rest = safe.diagonal.double().unsqueeze(-1).expand(-1, most - values.shape[-1])
    return torch.where(sound.unsqueeze(-1), torch.cat([values, rest], dim=-1), torch.nan)


def sound_scenes(covariance: FactoredCovariance) -> tuple[FactoredCovariance, Tensor]:
    """The covariance with the identity where a scene is not finite, and which (B,) are finite.

    LAPACK raises on NaN; a loss must become NaN instead, so that its step is refused and named.
    """
    finite = torch.view_as_real(covariance.factor).isfinite().flatten(1).all(-1)
    sound = finite & covariance.diagonal.isfinite()
    factor = torch.where(sound[:, None, None], covariance.factor, 0.0)
    diagonal = torch.where(sound, covariance.diagonal, 1.0)
    return replace(covariance, factor=factor, diagonal=diagonal), sound
