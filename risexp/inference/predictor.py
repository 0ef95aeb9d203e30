"""From a network's prediction to positions: the one path of validation, evaluation and serving.

The count is the head's. Its sources are the peaks of the effective covariance's spectrum, or the
likeliest slots of the pointers, and may be moved on until they fit the measurements themselves.
"""

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from risexp.config.run import RunConfig
from risexp.config.training import Fallback, LocalisationSpectrum, Refinement
from risexp.data.frames import Frames
from risexp.estimation.held_symbols import LAST_STEPS
from risexp.estimation.pursuit import law_of
from risexp.estimation.ranging import RangePosterior
from risexp.estimation.receiver_model import ReceiverModel, noise_power
from risexp.inference.estimate import Estimate
from risexp.inference.nomp import Nomp
from risexp.inference.spectral import Spectral, placed
from risexp.model.network import Network
from risexp.model.observation import Observer
from risexp.model.prediction import Prediction
from risexp.physics.geometry import angles, direction_cosines

_SCENES = 512
"""Scenes answered at once."""
_REFINED = 128
"""Scenes refined at once: on a CPU, what its cache holds."""
_UNSURE = 0.5
"""Probability of the answered count below which a fallback counts in its place."""


@dataclass(frozen=True)
class Localiser:
    """Turns predictions into estimates; it never sees a truth."""

    receiver: ReceiverModel
    spectrum: LocalisationSpectrum = "music"
    refine: Refinement = "none"
    fallback: Fallback = "none"

    @classmethod
    def of(cls, config: RunConfig) -> Self:
        """Build the localiser of a configuration."""
        options = config.localisation
        return cls(ReceiverModel.of(config), options.spectrum, options.refine, options.fallback)

    @torch.no_grad()
    def __call__(self, prediction: Prediction, frames: Frames) -> Estimate:
        """Localise the sources that a prediction counts.

        `frames` are the measurements of the prediction, in the units of the power law.
        """
        count = self._count(prediction, frames)
        estimate = self._located(prediction, count)
        if self.refine == "measurement":
            estimate = self._refined(estimate, frames)
        probabilities = prediction.count_probabilities
        return Estimate(
            count, probabilities, estimate.phi_rad, estimate.theta_rad, estimate.range_m
        )

    def _count(self, prediction: Prediction, frames: Frames) -> Tensor:
        """The head's count; with a fallback, that of BIC in scenes it is unsure of."""
        count = prediction.count
        if self.fallback == "none":
            return count
        answered = prediction.count_probabilities.gather(-1, (count - 1).unsqueeze(-1)).squeeze(-1)
        sure = answered >= _UNSURE
        return torch.where(sure, count, Nomp(self.receiver, "bic")(frames).count)

    def _located(self, prediction: Prediction, count: Tensor) -> Estimate:
        if self.spectrum == "pointers":
            return pointed(prediction, count)
        return Spectral(self.receiver, self.spectrum).locate(prediction.effective, count)

    def _refined(self, estimate: Estimate, frames: Frames) -> Estimate:
        """Sources moved jointly downhill in the misfit of y, and their believed ranges."""
        noise = noise_power(frames, self.receiver.symbols)
        slots = torch.stack([estimate.phi_rad, estimate.theta_rad, estimate.range_m])
        if self.receiver.is_compiled(frames.y.device):
            return self._compiled(estimate, frames, noise)
        for count in range(1, self.receiver.view.sources_max + 1):
            for scenes in torch.split((estimate.count == count).nonzero().squeeze(-1), _REFINED):
                law = law_of(self.receiver, frames[scenes], noise[scenes])
                fit = law.fitted(points_of(estimate, scenes, count))
                phi, theta = angles(*fit.points[..., :2].double().unbind(-1))
                ranged = RangePosterior.of(law, fit).answer()
                slots[:, scenes, :count] = torch.stack([phi, theta, ranged])
        return Estimate(estimate.count, estimate.count_probabilities, *slots)

    def _compiled(self, estimate: Estimate, frames: Frames, noise: Tensor) -> Estimate:
        # Not at the top: Numba is slow to import, and may be missing.
        from risexp.estimation.compiled import refitted

        points = _points(estimate.phi_rad, estimate.theta_rad, estimate.range_m)
        slots = refitted(self.receiver, frames, noise, (estimate.count, points), LAST_STEPS)
        return Estimate(estimate.count, estimate.count_probabilities, *slots)


def points_of(estimate: Estimate, scenes: Tensor, count: int) -> Tensor:
    """Points (S, count, 3) float32 of the scenes that hold so many sources."""
    slots = estimate.phi_rad, estimate.theta_rad, estimate.range_m
    return _points(*(value[scenes, :count] for value in slots)).float()


def _points(phi: Tensor, theta: Tensor, range_m: Tensor) -> Tensor:
    u, v = direction_cosines(phi, theta)
    return torch.stack([u, v, range_m.reciprocal()], dim=-1)


def pointed(prediction: Prediction, count: Tensor) -> Estimate:
    """The points of the slots that most likely hold a source, (B,) int64 of them."""
    pointers = prediction.pointers
    order = pointers.existence.argsort(dim=-1, descending=True, stable=True)
    u, v = direction_cosines(pointers.phi_rad.double(), pointers.theta_rad.double())
    points = torch.stack([u, v, pointers.rho.double()], dim=-1)
    ranked = points.gather(1, order.unsqueeze(-1).expand(-1, -1, 3))
    return placed(ranked, count, order.shape[1])


@dataclass(frozen=True)
class Predictor:
    """Turns a receiver's frames into an estimate by a network."""

    network: Network
    observe: Observer
    localise: Localiser
    beta: float
    """Share of the samples in the covariance, as in the validation of these weights."""

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.network.parameters()).device

    def __call__(self, frames: Frames) -> Estimate:
        """Count and localise."""
        parts = frames.checked().split(_SCENES)
        return Estimate.join([self.localise(self.predict(part), part) for part in parts])

    @torch.no_grad()
    def predict(self, frames: Frames) -> Prediction:
        """The network's prediction of some scenes."""
        self.network.eval()
        answer: Prediction = self.network(self.observe(frames), self.beta)
        return answer

    def changed(
        self,
        *,
        spectrum: LocalisationSpectrum | None = None,
        refine: Refinement | None = None,
        fallback: Fallback | None = None,
    ) -> Self:
        """The same network with other options of its localiser."""
        now = self.localise
        localise = replace(
            now,
            spectrum=spectrum or now.spectrum,
            refine=refine or now.refine,
            fallback=fallback or now.fallback,
        )
        return replace(self, localise=localise)
