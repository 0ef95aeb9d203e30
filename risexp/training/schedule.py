"""The learning rate as a function of steps really taken: warm-up, then half a cosine.

    factor(t) = t / W                                                   t <= W
              = f + (1 - f) (1 + cos(pi (t - P) / (T - P))) / 2         then, P = max(W, 1)

for t = 1 .. T. The first step's factor is 1 / W, never zero; the last step's is f.
"""

import math
from dataclasses import dataclass
from typing import Self

from torch import Tensor

from risexp.config.training import OptimizerConfig


@dataclass(frozen=True)
class Schedule:
    """Warm-up and cosine decay over the steps of a whole run."""

    steps: int
    """T: steps of the run if none is refused."""
    warmup: int
    """W: steps that rise; the last of them has the full rate."""
    final_share: float
    """f: rate of the last step over the largest."""

    @classmethod
    def of(cls, optimizer: OptimizerConfig, steps: int) -> Self:
        """The schedule a configuration describes, over so many steps."""
        return cls(steps, math.ceil(optimizer.warmup_share * steps), optimizer.final_share)

    def factor(self, step: Tensor) -> Tensor:
        """Share of the largest rate that a step has, float64; it stays where the step is.

        Args:
            step: Number of the step, from 1; beyond the last the rate stays.
        """
        peak = max(self.warmup, 1)
        at = step.double()
        rise = (at / peak).clamp(max=1.0)
        progress = ((at - peak) / max(self.steps - peak, 1)).clamp(0.0, 1.0)
        fall = (1.0 + (math.pi * progress).cos()) / 2.0
        return rise * (self.final_share + (1.0 - self.final_share) * fall)
