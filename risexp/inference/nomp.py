"""The classical localiser: greedy maximum likelihood on the measurements, under either law."""

from dataclasses import dataclass

import torch
from torch import Tensor

from risexp.data.frames import Frames
from risexp.estimation.count_rule import CountRule, counted, price_of_source
from risexp.estimation.grid import search_grid
from risexp.estimation.held_symbols import HeldSymbols
from risexp.estimation.pursuit import Law, Pursuit, law_of, pursue
from risexp.estimation.ranging import RangePosterior
from risexp.estimation.receiver_model import ReceiverModel, noise_power
from risexp.inference.estimate import Estimate
from risexp.physics.geometry import angles

_SCENES = 128
"""Scenes searched at once: on a CPU, what its cache holds."""
_WRONG = 1.3
"""Noise left over noise expected that no good fit reaches: the spread is about 1 / sqrt(L M)."""


@dataclass(frozen=True)
class Nomp:
    """Newtonised orthogonal matching pursuit, with a rule for the count and believed ranges.

    The evidence and the ranges use the power law, so frames must be in its units: not normalised.
    """

    receiver: ReceiverModel
    rule: CountRule = "evidence"

    def __call__(self, frames: Frames) -> Estimate:
        """Count and localise."""
        frames = frames.checked()
        noise = noise_power(frames, self.receiver.symbols)
        if self.receiver.is_compiled(frames.y.device):
            return self._compiled(frames, noise)
        parts = zip(frames.split(_SCENES), torch.split(noise, _SCENES), strict=True)
        return Estimate.join([self._localise(*part) for part in parts])

    def _compiled(self, frames: Frames, noise: Tensor) -> Estimate:
        # Not at the top: Numba is slow to import, and may be missing.
        from risexp.estimation.compiled import localised

        samples = frames.y.shape[-2] * frames.y.shape[-1]
        price = None
        if self.rule != "evidence":
            price = price_of_source(self.rule, samples, HeldSymbols.freedom)
        count, probabilities, slots = localised(self.receiver, frames, noise, price)
        return Estimate(count, probabilities, *slots)

    def _localise(self, frames: Frames, noise: Tensor) -> Estimate:
        """Search; where even K_MAX sources leave far more than the noise, search with what is left.

        The model is then wrong somewhere (a label, a phase, a wavefront), and what it cannot
        explain would be taken for sources.
        """
        law = law_of(self.receiver, frames, noise)
        pursuit = self._pursuit(law)
        left = law.noise_left(pursuit.fits[-1])
        wrong = left > _WRONG * noise
        if bool(wrong.any()):
            law = law_of(self.receiver, frames, torch.where(wrong, left, noise))
            pursuit = self._pursuit(law)
        ranges = [RangePosterior.of(law, fit) for fit in pursuit.fits]
        count, probabilities = counted(self.rule, pursuit, law, ranges)
        return answered(pursuit, [posterior.answer() for posterior in ranges], count, probabilities)

    def _pursuit(self, law: Law) -> Pursuit:
        receiver = self.receiver
        grid = search_grid(receiver.panel, receiver.view, law.noise_power.device)
        return pursue(law, grid, receiver.view.sources_max)


def answered(
    pursuit: Pursuit, ranges: list[Tensor], count: Tensor, probabilities: Tensor
) -> Estimate:
    """Positions of the fit whose count was chosen, at the ranges (B, k) of every fit."""
    most = len(pursuit.fits) - 1
    slots = torch.full((3, len(count), most), torch.nan, dtype=torch.float64, device=count.device)
    for fit, range_m in zip(pursuit.fits[1:], ranges[1:], strict=True):
        chosen = (count == fit.count).unsqueeze(-1)
        phi, theta = angles(*fit.points[..., :2].double().unbind(-1))
        places = torch.stack([phi, theta, range_m])
        slots[..., : fit.count] = torch.where(chosen, places, slots[..., : fit.count])
    return Estimate(count, probabilities, *slots)
