"""The network's input: everything computed from frames without learning."""

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
    """The input for B scenes; constants."""

    frames: Frames
    """The frames at unit RMS."""
    snr_db: Tensor
    """(B,) float32"""
    log_rms: Tensor
    """log10 of the frames' RMS, (B,) float32."""
    pursuit: QuickPursuit | None
    """Result of the quick pursuit, if the front uses it."""
    method: Method
    ridge: float

    @cached_property
    @torch.no_grad()
    def sampled(self) -> FactoredCovariance:
        """The sampled covariance, trace-normalised; computed when first used."""
        frames = self.frames
        sampled = sampled_covariance(
            self.method, frames.y, frames.channel, frames.codes, self.ridge
        ).trace_normalize()
        return FactoredCovariance(sampled.factor.to(torch.complex64), sampled.diagonal.float())

    def __len__(self) -> int:
        return len(self.snr_db)


@dataclass(frozen=True)
class Observer:
    """Makes the observations of one network from frames; it never sees a truth."""

    receiver: ReceiverModel
    method: Method
    ridge: float
    search_steps: int | None
    """Steps of the pursuit after each source; None if the front does not use it."""

    @classmethod
    def of(cls, config: RunConfig) -> Self:
        """The observer for the network of a configuration."""
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
            pursuit=None if steps is None else quick_pursuit(receiver, frames, steps),
            method=self.method,
            ridge=self.ridge,
        )
