"""The network's answer: two covariance factors, pointers, and count logits with their law."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import pad

from risexp.config.learning import CountDecision, CountKind
from risexp.covariance.factored import FactoredCovariance

_FLOOR = 1e-12
"""Least probability of a count."""
_SURE = 100.0
"""Clamp on the logit of a slot, beyond which more makes no difference."""


@dataclass(frozen=True)
class CountLaw:
    """How count logits become probabilities and one count.

    ordinal    P(K > t) = sigmoid(l_t / T), t = 1 .. K_MAX - 1, falling with t
    softmax    P(K) = softmax(l / T)
    slots      each slot holds a source with sigmoid(l_s / T), all independent; K is their number,
               given that it is at least one (a Poisson-binomial law, renormalised)
    """

    kind: CountKind
    sources_max: int
    threshold: float = 0.5
    """Probability from which an ordinal step counts."""
    decision: CountDecision = "probable"
    """Which count is answered."""
    temperature: float = 1.0
    """Divisor of the logits, fitted on calibration scenes after training."""

    @property
    def width(self) -> int:
        """Number of logits; an ordinal head has one step less than there are counts."""
        return self.sources_max - 1 if self.kind == "ordinal" else self.sources_max

    def probabilities(self, logits: Tensor) -> Tensor:
        """P(K) for K = 1 .. K_MAX, (B, K_MAX) float64; rows sum to one."""
        kept = self._unfloored(logits.double() / self.temperature).clamp(min=_FLOOR)
        return kept / kept.sum(-1, keepdim=True)

    def decide(self, logits: Tensor, found_logits: Tensor) -> Tensor:
        """The count (B,) int64 that is answered, independent of the temperature.

        `found_logits` (B, K_MAX) are of P(all are found | K) for K = 1 .. K_MAX.
        """
        if self.decision == "probable":
            return self.count(logits)
        likely = replace(self, temperature=1.0).probabilities(logits)
        worth = likely * (1.0 + found_logits.double().sigmoid())
        return worth.argmax(-1) + 1

    def count(self, logits: Tensor) -> Tensor:
        """The most probable count (B,) int64, before any temperature."""
        if self.kind == "ordinal":
            return 1 + (logits.double().sigmoid() > self.threshold).sum(-1)
        return replace(self, temperature=1.0).probabilities(logits).argmax(-1) + 1

    def _unfloored(self, scaled: Tensor) -> Tensor:
        match self.kind:
            case "ordinal":
                above = pad(pad(scaled.sigmoid(), (1, 0), value=1.0), (0, 1), value=0.0)
                return above[:, :-1] - above[:, 1:]
            case "softmax":
                return scaled.softmax(-1)
            case "slots":
                some = poisson_binomial(scaled.clamp(-_SURE, _SURE).sigmoid())[:, 1:]
                return some / some.sum(-1, keepdim=True)


def poisson_binomial(chances: Tensor) -> Tensor:
    """Law of the number of successes of independent trials: (B, S) to (B, S + 1)."""
    law = torch.ones_like(chances[:, :1])
    for chance in chances.unbind(-1):
        hit = chance.unsqueeze(-1)
        law = pad(law * (1.0 - hit), (0, 1)) + pad(law * hit, (1, 0))
    return law


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
    """A heat map of directions: how likely each cell holds a source."""

    logits: Tensor
    """(B, V, U) float32"""
    u: Tensor
    """Direction cosines along h of the cells' centres, (U,)."""
    v: Tensor
    """Direction cosines along v of the cells' centres, (V,)."""


@dataclass(frozen=True)
class Prediction:
    """The network's answer to B scenes."""

    angle_factor: Tensor
    """A, (B, N, K_MAX) complex64: the waves of the sources."""
    range_factor: Tensor
    """C, (B, N, K_MAX) complex64: the uncertainty of their ranges."""
    lambda_range: float
    """Weight of the second factor."""
    effective: FactoredCovariance
    """The blended and regularised covariance that counting and localisation use."""
    count_logits: Tensor
    """(B, C) float32, read by the law."""
    count_law: CountLaw
    """How the logits are read."""
    found_logits: Tensor
    """Of P(all sources are found | K), (B, K_MAX) float32."""
    pointers: Pointers
    """Where the slots point."""
    heat: Heat | None = None
    """The map of directions, if the front draws one."""

    def __len__(self) -> int:
        return len(self.count_logits)

    @property
    def predicted(self) -> FactoredCovariance:
        """A A^H + lambda_range C C^H, not normalised."""
        return predicted(self.angle_factor, self.range_factor, self.lambda_range)

    @property
    def count_probabilities(self) -> Tensor:
        """P(K) for K = 1 .. K_MAX, (B, K_MAX) float64."""
        return self.count_law.probabilities(self.count_logits)

    @property
    def count(self) -> Tensor:
        """The count that is answered, (B,) int64."""
        return self.count_law.decide(self.count_logits, self.found_logits)


def predicted(angle: Tensor, ranged: Tensor, lambda_range: float) -> FactoredCovariance:
    """A A^H + lambda_range C C^H."""
    return FactoredCovariance.from_factor(torch.cat([angle, ranged * lambda_range**0.5], dim=-1))
