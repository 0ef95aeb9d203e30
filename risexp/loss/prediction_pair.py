"""A prediction beside its label, and the quantities that several loss terms share."""

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import permutations
from typing import Final, Self

import torch
from torch import Tensor
from torch.nn.functional import smooth_l1_loss

from risexp.config.run import RunConfig
from risexp.covariance.effective import effective
from risexp.covariance.factored import FactoredCovariance
from risexp.estimation.assignment import cheapest
from risexp.estimation.receiver_model import View
from risexp.loss.target import Points, Target, leading_eigenvalues
from risexp.model.prediction import Prediction

ANGLE_UNIT_RAD: Final = math.radians(5.0)
"""Angle error that counts as one."""
THETA_WEIGHT: Final = 1.5
"""Weight of an elevation error beside one in azimuth or inverse range."""
KNEE: Final = 0.2
"""Units (1 deg) below which an error counts by its square; beyond, the slope is constant."""
TRIED: Final = 5
"""Largest number of sources for which every order is tried."""
_RANGE_UNITS = 20.0
"""Range units in the depth of the view: by default, 1 m at a range of 3.2 m is one unit."""


@dataclass(frozen=True)
class TermSettings:
    """How errors of counts and ranges are measured."""

    rho_unit: float
    """Error of the inverse range, in 1/m, that counts as much as 5 deg."""
    under_weight: float = 1.0
    """Cost of a count that is too low."""
    over_weight: float = 1.0
    """Cost of a count that is too high."""
    smoothing: float = 0.0
    """Share of a `softmax` label that is spread over all classes."""

    @classmethod
    def of(cls, config: RunConfig) -> Self:
        """The settings of a configuration."""
        low, high = View.of(config.data).rho
        count = config.count
        return cls(
            # A view of a single range still gets a unit of a sensible size.
            rho_unit=max(high - low, 0.1 * high) / _RANGE_UNITS,
            under_weight=count.under_weight,
            over_weight=count.over_weight,
            smoothing=count.smoothing,
        )


@dataclass(frozen=True)
class PredictionPair:
    """The predictions of B scenes and their labels."""

    prediction: Prediction
    target: Target
    settings: TermSettings

    @cached_property
    def predicted(self) -> FactoredCovariance:
        """The predicted covariance without samples, regularised as the label was."""
        target = self.target
        return effective(self.prediction.predicted, target.snr_db, alpha_base=target.alpha_base)

    @cached_property
    def spectrum(self) -> Tensor:
        """The K_MAX + 1 largest eigenvalues of `predicted`, (B, K_MAX + 1) float64."""
        return leading_eigenvalues(self.predicted, self.target.sources_max + 1)

    @cached_property
    def slots(self) -> Tensor:
        """The slot of each source in the cheapest assignment, (B, K_MAX) int64.

        An assignment costs the position error less the probability that the slot holds a source.
        """
        pointers, true = self.prediction.pointers, self.target.points
        with torch.no_grad():
            pointed = (
                pointers.phi_rad.unsqueeze(-1),
                pointers.theta_rad.unsqueeze(-1),
                pointers.rho.unsqueeze(-1),
            )
            sources = (true[0].unsqueeze(-2), true[1].unsqueeze(-2), true[2].unsqueeze(-2))
            off = position_error(pointed, sources, self.settings.rho_unit)
            cost = off - pointers.existence.sigmoid().unsqueeze(-1)
            return best_slots(cost, self.target.present)

    @cached_property
    def filled(self) -> Tensor:
        """Which slots are assigned to a present source, (B, K_MAX) bool."""
        present = self.target.present
        return torch.zeros_like(present).scatter(1, self.slots, present)

    def of_sources(self, slots: Tensor) -> Tensor:
        """Values of slots (B, K_MAX) in the order of the sources that they are assigned to."""
        return slots.gather(1, self.slots)


def position_error(pointed: Points, true: Points, rho_unit: float) -> Tensor:
    """Weighted mean error over the three coordinates, of the shape the two broadcast to.

        e(x) = x^2 / (2 knee) for |x| < knee, else |x| - knee / 2
        error = (e(phi) + 1.5 e(theta) + e(rho)) / 3.5

    An error of the inverse range counts as one at `rho_unit`, in 1/m.
    """
    phi, theta, rho = (ours - theirs for ours, theirs in zip(pointed, true, strict=True))
    angles = _error(phi, ANGLE_UNIT_RAD) + THETA_WEIGHT * _error(theta, ANGLE_UNIT_RAD)
    return (angles + _error(rho, rho_unit)) / (2.0 + THETA_WEIGHT)


def _error(off: Tensor, unit: float) -> Tensor:
    return smooth_l1_loss(off / unit, torch.zeros_like(off), reduction="none", beta=KNEE)


def best_slots(cost: Tensor, present: Tensor) -> Tensor:
    """The slot of each source at the least total cost, all different, (B, K) int64.

    Up to five sources every order is tried at once on the device (120 of them); beyond, SciPy
    pairs on the host. The `cost` (B, K, K) has slots along its second axis; sources that are not
    `present` (B, K) take the slots that are left, at no cost.
    """
    charged = torch.where(present.unsqueeze(-2), cost, 0.0)
    return _cheapest_order(charged) if present.shape[-1] <= TRIED else cheapest(charged.mT)


def _cheapest_order(cost: Tensor) -> Tensor:
    most = cost.shape[-1]
    orders = _orders(most, cost.device)
    sources = torch.arange(most, device=cost.device)
    return orders[cost[:, orders, sources].sum(-1).argmin(-1)]


@lru_cache(maxsize=32)
def _orders(most: int, device: torch.device) -> Tensor:
    """All orders, (K!, K) int64, kept on the device: to copy them there would make a host wait."""
    with torch.inference_mode(mode=False):
        return torch.tensor(list(permutations(range(most))), device=device)
