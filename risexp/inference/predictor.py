"""A network put to use: frames in, positions out."""

from dataclasses import dataclass, replace
from typing import Self

import torch

from risexp.config.training import Fallback, LocalisationSpectrum, Refinement
from risexp.data.frames import Frames
from risexp.inference.estimate import Estimate, joined
from risexp.inference.localise import Localiser
from risexp.model.network import Network
from risexp.model.observation import Observer
from risexp.model.prediction import Prediction

_SCENES = 512
"""Scenes answered at once."""


@dataclass(frozen=True)
class Predictor:
    """Everything that stands between a receiver's frames and the answer."""

    network: Network
    observe: Observer
    localise: Localiser
    beta: float
    """Share of the samples in the covariance, as it was when the weights were judged."""

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.network.parameters()).device

    def __call__(self, frames: Frames) -> Estimate:
        """Count and localise.

        Raises:
            DataInvalid: A value of the frames is not finite.
        """
        frames = frames.checked()
        parts = []
        for start in range(0, max(len(frames), 1), _SCENES):
            scenes = frames[start : start + _SCENES]
            parts.append(self.localise(self.predict(scenes), scenes))
        return joined(parts)

    @torch.no_grad()
    def predict(self, frames: Frames) -> Prediction:
        """What the network says of some scenes."""
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
        """The same network, localised in another way."""
        now = self.localise
        localise = replace(
            now,
            spectrum=spectrum or now.spectrum,
            refine=refine or now.refine,
            fallback=fallback or now.fallback,
        )
        return replace(self, localise=localise)
