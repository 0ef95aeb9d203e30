"""What the loss needs of a truth, made once a batch and without waiting for a device."""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import torch
from torch import Tensor

from risexp.config.learning import LabelPower
from risexp.covariance.effective import effective
from risexp.covariance.factored import FactoredCovariance
from risexp.data.frames import Truth
from risexp.data.scenes import source_steering
from risexp.loss.positions import Points
from risexp.loss.spectrum import leading
from risexp.physics.geometry import Panel


@dataclass(frozen=True)
class Target:
    """The labels of B scenes; absent sources hold zeros, never NaN."""

    panel: Panel
    snr_db: Tensor
    """(B,) real."""
    alpha_base: float
    """Slope of the regularisation that prediction and label share."""
    covariance: FactoredCovariance
    """The label R = A diag(power) A^H, of trace N."""
    effective: FactoredCovariance
    """The label as inference would see it: regularised by the SNR."""
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
        """The labels of a truth.

        Args:
            panel: What the sources are seen with.
            truth: The sources.
            snr_db: (B,) real.
            alpha_base: Slope of the regularisation over noise amplitude.
            label_power: Powers as they are, or their square roots (`compressed`).
        """
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
        return leading(self.effective, self.sources_max + 1)

    def over_sources(self, values: Tensor) -> Tensor:
        """The mean over the present sources of values (B, K_MAX), (B,)."""
        kept = torch.where(self.present, values, 0.0)
        return kept.sum(-1) / self.count.clamp(min=1)
