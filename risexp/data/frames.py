"""Frames, which a receiver measures, and the truth, in two types: no estimator gets the truth."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from risexp.core.batch import TensorBatch
from risexp.errors import DataInvalid


@dataclass(frozen=True)
class Frames(TensorBatch):
    """Measurements of B scenes, all that a network, a localiser or a server is given."""

    y: Tensor
    """(B, L, M) complex: what the base station recorded."""
    channel: Tensor
    """(B, M, N) complex: H, from the panel to the base station."""
    codes: Tensor
    """(L, N) complex when all scenes share them, else (B, L, N): unit modulus."""
    snr_db: Tensor | None
    """(B,) real, or None where it has to be estimated."""

    def __post_init__(self) -> None:
        if self.y.ndim != 3:
            raise DataInvalid(f"y has shape {tuple(self.y.shape)} where (B, L, M) was expected")
        if self.channel.ndim != 3:
            raise DataInvalid(
                f"channel has shape {tuple(self.channel.shape)} where (B, M, N) was expected"
            )
        batch, snapshots, antennas = self.y.shape
        elements = self.channel.shape[-1]
        _expect("channel", self.channel, (batch, antennas, elements))
        shared = self.codes.ndim == 2
        _expect(
            "codes", self.codes, (snapshots, elements) if shared else (batch, snapshots, elements)
        )
        if self.snr_db is not None:
            _expect("snr_db", self.snr_db, (batch,))
        for name, value in (("y", self.y), ("channel", self.channel), ("codes", self.codes)):
            if not value.is_complex():
                raise DataInvalid(f"{name} is {value.dtype}: complex values were expected")

    def checked(self) -> Self:
        """These frames, once every value is known to be finite."""
        for name, value in self.items():
            if value is not None and not bool(torch.isfinite(value).all()):
                place = "" if name in self.shared_fields() else f" of scene {_first_unsound(value)}"
                raise DataInvalid(f"{name}{place} holds a value that is not a finite number")
        return self

    def normalised(self) -> tuple[Self, Tensor]:
        """The frames at unit RMS, and the log10 RMS (B,) that was taken out of each.

        Raw measurements span 96 dB. A silent frame stays silent, at a log RMS of -30.
        """
        rms = self.y.abs().square().mean((-2, -1)).sqrt().clamp(min=1e-30)
        y = self.y / rms[:, None, None]
        return replace(self, y=y), rms.log10()

    def shared_fields(self) -> Collection[str]:
        """Codes of two axes belong to all scenes."""
        return ("codes",) if self.codes.ndim == 2 else ()


@dataclass(frozen=True)
class Truth(TensorBatch):
    """What is true of B scenes; slots beyond the count hold NaN positions and zero amplitude."""

    count: Tensor
    """(B,) int64: K, the number of sources."""
    phi_rad: Tensor
    """(B, K_MAX) float64 azimuth."""
    theta_rad: Tensor
    """(B, K_MAX) float64 elevation."""
    range_m: Tensor
    """(B, K_MAX) float64 distance from the panel's centre."""
    symbols: Tensor
    """(B, 1 or L, K_MAX) complex: one row where symbols are held over the snapshots."""
    amplitude: Tensor
    """(B, K_MAX) real."""
    noise_power: Tensor
    """(B,) real: sigma^2."""

    def __post_init__(self) -> None:
        if self.phi_rad.ndim != 2 or self.symbols.ndim != 3:
            raise DataInvalid("positions have 2 axes, scenes and sources, and symbols have 3")
        batch, most = self.phi_rad.shape
        for name in ("theta_rad", "range_m", "amplitude"):
            _expect(name, getattr(self, name), (batch, most))
        _expect("count", self.count, (batch,))
        _expect("noise_power", self.noise_power, (batch,))
        _expect("symbols", self.symbols, (batch, self.symbols.shape[1], most))

    @property
    def present(self) -> Tensor:
        """(B, K_MAX) bool: which slots hold a source."""
        slots = torch.arange(self.phi_rad.shape[1], device=self.count.device)
        return slots < self.count.unsqueeze(-1)

    @property
    def gains(self) -> Tensor:
        """Amplitude times symbol, (B, 1 or L, K_MAX) complex: what leaves each source."""
        return self.amplitude.unsqueeze(-2) * self.symbols

    @property
    def powers(self) -> Tensor:
        """Power of each source, (B, K_MAX): of its held symbol, or the mean under fresh ones."""
        if self.symbols.shape[1] == 1:
            return self.gains.abs().square().squeeze(-2)
        return self.amplitude.square()


@dataclass(frozen=True)
class Scenes(TensorBatch):
    """Frames and the truth about them, for those who train and score."""

    frames: Frames
    truth: Truth


def _first_unsound(value: Tensor) -> int:
    sound = torch.isfinite(value).flatten(1).all(-1) if value.ndim > 1 else torch.isfinite(value)
    return int((~sound).nonzero()[0])


def _expect(name: str, value: Tensor, shape: tuple[int, ...]) -> None:
    if tuple(value.shape) != shape:
        raise DataInvalid(f"{name} has shape {tuple(value.shape)} where {shape} was expected")
