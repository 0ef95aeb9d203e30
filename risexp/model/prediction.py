"""What a network answers: two factors, a count, and where it points."""

from dataclasses import dataclass

import torch
from torch import Tensor

from risexp.covariance.factored import FactoredCovariance
from risexp.model.counting import CountLaw


@dataclass(frozen=True)
class Pointers:
    """Where each slot points, for B scenes."""

    phi_rad: Tensor
    """(B, K_MAX) float32"""
    theta_rad: Tensor
    """(B, K_MAX) float32"""
    rho: Tensor
    """Inverse range in 1/m, (B, K_MAX) float32."""
    existence: Tensor
    """Logit that the slot holds a source, (B, K_MAX) float32."""


@dataclass(frozen=True)
class Heat:
    """A map of directions: how likely each cell holds a source."""

    logits: Tensor
    """(B, V, U) float32"""
    u: Tensor
    """Direction cosines along h of the cells' centres, (U,)."""
    v: Tensor
    """Direction cosines along v of the cells' centres, (V,)."""


@dataclass(frozen=True)
class Prediction:
    """One network's answer to B scenes."""

    angle_factor: Tensor
    """A, (B, N, K_MAX) complex64: what is there."""
    range_factor: Tensor
    """C, (B, N, K_MAX) complex64: what is not sure about ranges."""
    lambda_range: float
    """Weight of the second factor."""
    effective: FactoredCovariance
    """What the count head saw and localisation decomposes: blended and regularised."""
    count_logits: Tensor
    """(B, C) float32, read by the law."""
    count_law: CountLaw
    """How the logits are read."""
    found_logits: Tensor
    """Of P(all sources are found | K), (B, K_MAX) float32."""
    pointers: Pointers
    """Where the slots point."""
    heat: Heat | None = None
    """The map of directions, of a front that draws one."""

    def __len__(self) -> int:
        return len(self.count_logits)

    @property
    def predicted(self) -> FactoredCovariance:
        """A A^H + lambda_range C C^H, at whatever scale."""
        return predicted(self.angle_factor, self.range_factor, self.lambda_range)

    @property
    def count_probabilities(self) -> Tensor:
        """Of K = 1 .. K_MAX, (B, K_MAX) float64."""
        return self.count_law.probabilities(self.count_logits)

    @property
    def count(self) -> Tensor:
        """The count that is answered, (B,) int64."""
        return self.count_law.decided(self.count_logits, self.found_logits)


def predicted(angle: Tensor, ranged: Tensor, lambda_range: float) -> FactoredCovariance:
    """A A^H + lambda_range C C^H."""
    return FactoredCovariance.from_factor(torch.cat([angle, ranged * lambda_range**0.5], dim=-1))
