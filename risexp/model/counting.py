"""What the logits of a count head say, by the kind of the head: probabilities, and one count.

ordinal    P(K > t) = sigmoid(l_t / T), t = 1 .. K_MAX - 1, falling with t
softmax    P(K) = softmax(l / T)
slots      each slot holds a source with sigmoid(l_s / T), all independent; K is their number,
given that it is at least one (a Poisson-binomial law, renormalised)
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import pad

from risexp.config.learning import CountDecision, CountKind

_FLOOR = 1e-12
"""Least probability of a count."""
_SURE = 100.0
"""Logit of a slot beyond which more makes no difference; its square is still a number."""


@dataclass(frozen=True)
class CountLaw:
    """How logits are read."""

    kind: CountKind
    sources_max: int
    threshold: float = 0.5
    """Probability from which an ordinal step counts."""
    decision: CountDecision = "probable"
    """Which count is answered, where it is known how likely each one would be found whole."""
    temperature: float = 1.0
    """What the logits are divided by, fitted on scenes of their own after training."""

    @property
    def width(self) -> int:
        """Number of logits; one class more than an ordinal head has steps."""
        return self.sources_max - 1 if self.kind == "ordinal" else self.sources_max

    def probabilities(self, logits: Tensor) -> Tensor:
        """Of K = 1 .. K_MAX, (B, K_MAX) float64; rows sum to one."""
        scaled = logits.double() / self.temperature
        kept = self._raw(scaled).clamp(min=_FLOOR)
        return kept / kept.sum(-1, keepdim=True)

    def decided(self, logits: Tensor, found_logits: Tensor) -> Tensor:
        """The one count (B,) int64 that is answered, given how surely all sources are found.

        The temperature has no say: what was validated is what is answered.

        Args:
            logits: Of the count, (B, C).
            found_logits: Of P(all are found | K) for K = 1 .. K_MAX, (B, K_MAX).
        """
        if self.decision == "probable":
            return self.count(logits)
        likely = replace(self, temperature=1.0).probabilities(logits)
        worth = likely * (1.0 + found_logits.double().sigmoid())
        return worth.argmax(-1) + 1

    def _raw(self, scaled: Tensor) -> Tensor:
        match self.kind:
            case "ordinal":
                above = pad(pad(scaled.sigmoid(), (1, 0), value=1.0), (0, 1), value=0.0)
                return above[:, :-1] - above[:, 1:]
            case "softmax":
                return scaled.softmax(-1)
            case "slots":
                some = poisson_binomial(scaled.clamp(-_SURE, _SURE).sigmoid())[:, 1:]
                return some / some.sum(-1, keepdim=True)

    def count(self, logits: Tensor) -> Tensor:
        """The most probable count (B,) int64, before any temperature."""
        if self.kind == "ordinal":
            return 1 + (logits.double().sigmoid() > self.threshold).sum(-1)
        return replace(self, temperature=1.0).probabilities(logits).argmax(-1) + 1


def poisson_binomial(chances: Tensor) -> Tensor:
    """Law of the number of successes of independent trials: (B, S) to (B, S + 1)."""
    law = torch.ones_like(chances[:, :1])
    for chance in chances.unbind(-1):
        hit = chance.unsqueeze(-1)
        law = pad(law * (1.0 - hit), (0, 1)) + pad(law * hit, (1, 0))
    return law
