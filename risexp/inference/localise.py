"""From a prediction to positions: the one path of validation, evaluation and serving.

The count is the head's. Its sources are the peaks of the effective covariance's spectrum, or the
likeliest slots of the pointers, and may be moved on until they fit the measurements themselves.
"""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from risexp.config.run import RunConfig
from risexp.config.training import Fallback, LocalisationSpectrum, Refinement
from risexp.data.frames import Frames
from risexp.estimation.noise import noise_power
from risexp.estimation.ranging import RangePosterior
from risexp.estimation.receiver_model import ReceiverModel
from risexp.inference.estimate import Estimate
from risexp.inference.nomp import Nomp, law_of
from risexp.inference.spectral import Spectral, placed
from risexp.model.prediction import Prediction
from risexp.physics.geometry import angles, direction_cosines

_SCENES = 128
"""Scenes moved at once: on a CPU, what its cache holds."""
_UNSURE = 0.5
"""Probability of the answered count below which a fallback counts in its place."""


@dataclass(frozen=True)
class Localiser:
    """Turns predictions into estimates; it never sees a truth."""

    setting: ReceiverModel
    spectrum: LocalisationSpectrum = "music"
    refine: Refinement = "none"
    fallback: Fallback = "none"

    @classmethod
    def of(cls, config: RunConfig) -> Self:
        """What a configuration asks for."""
        wanted = config.localisation
        return cls(ReceiverModel.of(config), wanted.spectrum, wanted.refine, wanted.fallback)

    @torch.no_grad()
    def __call__(self, prediction: Prediction, frames: Frames) -> Estimate:
        """Localise the sources that a prediction counts.

        Args:
            prediction: Of B scenes.
            frames: The measurements it was made from, in the units of the power law.
        """
        count = self._count(prediction, frames)
        found = self._located(prediction, count)
        if self.refine == "measurement":
            found = self._refined(found, frames)
        probabilities = prediction.count_probabilities
        return Estimate(count, probabilities, found.phi_rad, found.theta_rad, found.range_m)

    def _count(self, prediction: Prediction, frames: Frames) -> Tensor:
        """The head's count; with a fallback, that of BIC in scenes it is unsure of."""
        count = prediction.count
        if self.fallback == "none":
            return count
        answered = prediction.count_probabilities.gather(-1, (count - 1).unsqueeze(-1)).squeeze(-1)
        sure = answered >= _UNSURE
        return torch.where(sure, count, Nomp(self.setting, "bic")(frames).count)

    def _located(self, prediction: Prediction, count: Tensor) -> Estimate:
        if self.spectrum == "pointers":
            return pointed(prediction, count)
        return Spectral(self.setting, self.spectrum).locate(prediction.effective, count)

    def _refined(self, found: Estimate, frames: Frames) -> Estimate:
        """Sources moved jointly downhill in the misfit of y, and their believed ranges."""
        noise = noise_power(frames, self.setting.symbols)
        slots = torch.stack([found.phi_rad, found.theta_rad, found.range_m])
        for count in range(1, self.setting.view.sources_max + 1):
            for scenes in torch.split((found.count == count).nonzero().squeeze(-1), _SCENES):
                law = law_of(self.setting, frames[scenes], noise[scenes])
                fit = law.fitted(points_of(found, scenes, count))
                phi, theta = angles(*fit.points[..., :2].double().unbind(-1))
                ranged = RangePosterior.of(law, fit).answer()
                slots[:, scenes, :count] = torch.stack([phi, theta, ranged])
        return Estimate(found.count, found.count_probabilities, *slots)


def points_of(found: Estimate, scenes: Tensor, count: int) -> Tensor:
    """Points (S, count, 3) float32 of the scenes that hold so many sources."""
    phi, theta, range_m = (
        value[scenes, :count] for value in (found.phi_rad, found.theta_rad, found.range_m)
    )
    u, v = direction_cosines(phi, theta)
    return torch.stack([u, v, range_m.reciprocal()], dim=-1).float()


def pointed(prediction: Prediction, count: Tensor) -> Estimate:
    """The points of the slots that most likely hold a source, (B,) int64 of them."""
    pointers = prediction.pointers
    order = pointers.existence.argsort(dim=-1, descending=True, stable=True)
    u, v = direction_cosines(pointers.phi_rad.double(), pointers.theta_rad.double())
    points = torch.stack([u, v, pointers.rho.double()], dim=-1)
    ranked = points.gather(1, order.unsqueeze(-1).expand(-1, -1, 3))
    return placed(ranked, count, order.shape[1])
