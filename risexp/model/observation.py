"""What a network is given of a scene: everything that is computed from frames without learning."""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import torch
from torch import Tensor

from risexp.config.run import RunConfig
from risexp.covariance.factored import FactoredCovariance
from risexp.covariance.sampled import Method, sampled_covariance
from risexp.data.frames import Frames
from risexp.estimation.pursuit import QuickPursuit, quick_pursuit
from risexp.estimation.receiver_model import ReceiverModel, snr_db_of


@dataclass(frozen=True)
class Observation:
    """B scenes as a network sees them; constants."""

    frames: Frames
    """The frames at unit RMS."""
    snr_db: Tensor
    """(B,) float32"""
    log_rms: Tensor
    """log10 of the frames' RMS, (B,) float32: the networks see frames of unit RMS."""
    glance: QuickPursuit | None
    """What a greedy search of few steps found, where the front asks for it."""
    method: Method
    ridge: float

    @cached_property
    @torch.no_grad()
    def sampled(self) -> FactoredCovariance:
        """What the measurements alone say of the field, trace-normalised: computed if looked at."""
        seen = self.frames
        found = sampled_covariance(
            self.method, seen.y, seen.channel, seen.codes, self.ridge
        ).trace_normalize()
        return FactoredCovariance(found.factor.to(torch.complex64), found.diagonal.float())

    def __len__(self) -> int:
        return len(self.snr_db)


@dataclass(frozen=True)
class Observer:
    """Makes observations of frames for one network; it never sees a truth."""

    receiver: ReceiverModel
    method: Method
    ridge: float
    search_steps: int | None
    """Steps of the search after each source; None where nobody looks at it."""

    @classmethod
    def of(cls, config: RunConfig) -> Self:
        """What the network of a configuration is given."""
        symbols = config.physics.symbols
        searches = config.network.front_for(symbols) == "pursuit"
        return cls(
            ReceiverModel.of(config),
            config.sampled.method_for(symbols),
            config.sampled.ridge,
            config.network.search_steps if searches else None,
        )

    @torch.no_grad()
    def __call__(self, frames: Frames) -> Observation:
        """Observe B scenes."""
        receiver, steps = self.receiver, self.search_steps
        normal, log_rms = frames.normalised()
        return Observation(
            frames=normal,
            snr_db=snr_db_of(frames, receiver.symbols).float(),
            log_rms=log_rms.float(),
            glance=None if steps is None else quick_pursuit(receiver, frames, steps),
            method=self.method,
            ridge=self.ridge,
        )
