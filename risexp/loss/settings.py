"""What of a configuration the terms of the loss need, beyond their weights."""

from dataclasses import dataclass
from typing import Self

from risexp.config.run import RunConfig
from risexp.estimation.receiver_model import View

_UNITS = 20.0
"""Units of range error that the view is deep: on the default one, 1 m at a range of 3.2 m."""


@dataclass(frozen=True)
class TermSettings:
    """How errors of counts and ranges are measured."""

    rho_unit: float
    """Error of the inverse range, in 1/m, that counts as much as 5 deg."""
    under_weight: float = 1.0
    """What counting too few costs."""
    over_weight: float = 1.0
    """What counting too many costs."""
    smoothing: float = 0.0
    """Share of a `softmax` label that is spread over all classes."""

    @classmethod
    def of(cls, config: RunConfig) -> Self:
        """As a configuration says."""
        low, high = View.of(config.data).rho
        count = config.count
        return cls(
            # A view of one range only still has errors of a sensible size.
            rho_unit=max(high - low, 0.1 * high) / _UNITS,
            under_weight=count.under_weight,
            over_weight=count.over_weight,
            smoothing=count.smoothing,
        )
