"""A prediction beside its label, and what several terms need of the pair, made once a step."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from risexp.covariance.effective import effective
from risexp.covariance.factored import FactoredCovariance
from risexp.loss.pairing import best_slots
from risexp.loss.positions import position_error
from risexp.loss.settings import TermSettings
from risexp.loss.spectrum import leading
from risexp.loss.target import Target
from risexp.model.prediction import Prediction


@dataclass(frozen=True)
class PredictionPair:
    """One prediction of B scenes, and what it should have been."""

    prediction: Prediction
    target: Target
    settings: TermSettings

    @cached_property
    def predicted(self) -> FactoredCovariance:
        """What the network said without samples, made effective as the label was."""
        target = self.target
        return effective(self.prediction.predicted, target.snr_db, alpha_base=target.alpha_base)

    @cached_property
    def spectrum(self) -> Tensor:
        """The K_MAX + 1 largest eigenvalues of `predicted`, (B, K_MAX + 1) float64."""
        return leading(self.predicted, self.target.sources_max + 1)

    @cached_property
    def slots(self) -> Tensor:
        """The slot that answers each source in the best of all orders, (B, K_MAX) int64.

        A pair costs the error of its position, less the probability that the slot holds a source.
        """
        pointers, true = self.prediction.pointers, self.target.points
        with torch.no_grad():
            off = position_error(
                (
                    pointers.phi_rad.unsqueeze(-1),
                    pointers.theta_rad.unsqueeze(-1),
                    pointers.rho.unsqueeze(-1),
                ),
                (true[0].unsqueeze(-2), true[1].unsqueeze(-2), true[2].unsqueeze(-2)),
                self.settings.rho_unit,
            )
            cost = off - pointers.existence.sigmoid().unsqueeze(-1)
            return best_slots(cost, self.target.present)

    @cached_property
    def filled(self) -> Tensor:
        """Which slots answer a present source, (B, K_MAX) bool."""
        present = self.target.present
        return torch.zeros_like(present).scatter(1, self.slots, present)

    def of_sources(self, slots: Tensor) -> Tensor:
        """Values of slots (B, K_MAX) in the order of the sources they answer."""
        return slots.gather(1, self.slots)
