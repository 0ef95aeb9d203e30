"""Posterior of a fitted source's range: by its wavefront, its power, and the view.

What is believed of rho = 1 / r is the fit's Gaussian, times the law of the power at r, times the
law of the ranges, flat in r. It is integrated on nodes of its own for each source, since a near
source's rho is known a thousand times better than a far one's.
"""

import math
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from risexp.estimation.fit import Fit
from risexp.estimation.pursuit import Law

_NODES = 97
_REACH = 6.0
"""Standard deviations of the Gaussian that the nodes cover."""
TOLERANCE_M = 1.0
"""Half the width of the window whose probability an answered range maximises."""
_NEARER = 1e-3
"""What a metre away from the median costs, in probability: it decides between equal windows."""


@dataclass(frozen=True)
class RangePosterior:
    """Density of each source's range, not normalised."""

    range_m: Tensor
    """(B, k, R) float64, falling."""
    log_weight: Tensor
    """(B, k, R): log of density times the node's width; the power relative to the fit's range."""

    @classmethod
    def of(cls, law: Law, fit: Fit) -> Self:
        """What the fit, the power law and the view say together."""
        receiver = law.receiver
        near, far = receiver.view.range_m
        low, high = receiver.view.rho
        mean, spread = fit.rho_mean, fit.rho_spread
        start = (mean - _REACH * spread).clamp(low, high)
        stop = (mean + _REACH * spread).clamp(low, high)
        # A Gaussian that lies beyond the view leaves its nearest limit, with a finite width.
        width = (stop - start).maximum(1e-6 + 0.0 * spread)
        start = start.clamp(max=high - 1e-6) if high - low > 1e-6 else start
        unit = torch.linspace(0.0, 1.0, _NODES, dtype=torch.float64, device=mean.device)
        rho = start.unsqueeze(-1) + width.unsqueeze(-1) * unit
        range_m = rho.reciprocal()
        gap = (rho - mean.unsqueeze(-1)) / spread.unsqueeze(-1)
        wave = -0.5 * gap.square() - (math.sqrt(2.0 * math.pi) * spread).log().unsqueeze(-1)
        flat = 2.0 * range_m.log() - math.log(max(far - near, 1e-6 * far * near))
        here = receiver.mean_power(fit.points[..., 2:].double().reciprocal())
        power = law.power_log_likelihood(fit, receiver.mean_power(range_m))
        power = power - law.power_log_likelihood(fit, here)
        share = torch.full_like(unit, 1.0 / (_NODES - 1))
        share[[0, -1]] *= 0.5
        return cls(range_m, wave + flat + power + (width.unsqueeze(-1) * share).log())

    def log_evidence(self) -> Tensor:
        """Log of the integral, (B, k)."""
        return self.log_weight.logsumexp(-1)

    def answer(self) -> Tensor:
        """The range most probably within the tolerance, (B, k); of equals, nearest the median."""
        range_m = self.range_m.flip(-1).contiguous()
        below = self.log_weight.flip(-1).softmax(-1).cumsum(-1)
        padded = torch.nn.functional.pad(below, (1, 0))
        ends = (
            padded.gather(-1, torch.searchsorted(range_m, range_m + side, right=side > 0))
            for side in (TOLERANCE_M, -TOLERANCE_M)
        )
        upper, lower = ends
        middle = (below < 0.5).sum(-1, keepdim=True).clamp(max=_NODES - 1)
        away = (range_m - range_m.gather(-1, middle)).abs()
        best = (upper - lower - _NEARER * away).argmax(-1, keepdim=True)
        return range_m.gather(-1, best).squeeze(-1)
