"""Frames from plain arrays of files and requests, and checks of their shapes."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from risexp.config.run import RunConfig
from risexp.data.frames import Frames
from risexp.errors import DataInvalid

NEEDED: Final = ("y", "channel", "codes")
OPTIONAL: Final = "snr_db"
_LOUDEST: Final = 1e9
"""Largest RMS of a scene's measurements and of its channel; one over it is the smallest channel."""
_SNR_DB: Final = 100.0
_MODULUS: Final = 1e-3
"""How far a code's modulus may be from one."""


def frames_of(arrays: Mapping[str, NDArray[Any]]) -> Frames:
    """Frames in single precision from arrays by name.

    Codes that all scenes share have the shape (L, N) or (1, L, N).
    """
    for name in NEEDED:
        if name not in arrays:
            raise DataInvalid(f"{name} is missing: y, channel and codes are needed")
    for name in arrays:
        if name not in {*NEEDED, OPTIONAL}:
            raise DataInvalid(f"there is no {name!r} in frames: give y, channel, codes and snr_db")
    y, channel, codes = (_tensor(name, arrays[name]) for name in NEEDED)
    snr_db = _tensor(OPTIONAL, arrays[OPTIONAL]) if OPTIONAL in arrays else None
    if snr_db is not None and snr_db.is_complex():
        raise DataInvalid("snr_db is complex: decibels are real")
    return Frames(y, channel, codes[0] if _shared(codes) else codes, snr_db)


def too_large(path: Path, largest: int) -> DataInvalid:
    """The error for a file that unpacks to too much."""
    return DataInvalid(
        f"{path} unpacks to more than {largest} bytes: write its scenes into several files"
    )


@dataclass(frozen=True)
class Sizes:
    """Sizes of the frames of one panel and one station."""

    snapshots: int
    """L"""
    antennas: int
    """M"""
    elements: int
    """N"""

    @classmethod
    def of(cls, config: RunConfig) -> Self:
        """The sizes of a configuration."""
        physics = config.physics
        return cls(physics.snapshots, physics.antennas, physics.elements)

    def expect(self, frames: Frames) -> Frames:
        """Check that frames have these sizes, are not empty, and can come from a panel."""
        if len(frames) == 0:
            raise DataInvalid("y holds no scene: its first axis counts scenes")
        if tuple(frames.y.shape[1:]) != (self.snapshots, self.antennas):
            raise DataInvalid(
                f"y has shape {tuple(frames.y.shape)} where (B, {self.snapshots}, "
                f"{self.antennas}) was expected: scenes, snapshots, antennas"
            )
        if frames.channel.shape[-1] != self.elements:
            raise DataInvalid(
                f"channel has shape {tuple(frames.channel.shape)} where (B, {self.antennas}, "
                f"{self.elements}) was expected: scenes, antennas, elements"
            )
        sound = frames.checked()
        _expect_possible(sound)
        return sound


def _expect_possible(frames: Frames) -> None:
    """Refuse finite numbers that no panel sends: an answer to them would mean nothing."""
    for name, value, least in (("y", frames.y, 0.0), ("channel", frames.channel, 1.0 / _LOUDEST)):
        rms = value.abs().square().mean((-2, -1)).sqrt()
        if (scene := _first((rms < least) | (rms > _LOUDEST))) is not None:
            raise DataInvalid(
                f"{name} of scene {scene} has an RMS of {float(rms[scene]):.3g}: expected are "
                f"{least:g} to {_LOUDEST:g}, in the units of the model's configuration"
            )
    moduli = frames.codes.abs()
    if bool(((moduli - 1.0).abs() > _MODULUS).any()):
        raise DataInvalid(
            f"codes have moduli from {float(moduli.min()):.3g} to {float(moduli.max()):.3g}: a "
            "panel turns phases alone, so that each is 1"
        )
    if frames.snr_db is not None and (scene := _first(frames.snr_db.abs() > _SNR_DB)) is not None:
        raise DataInvalid(
            f"snr_db of scene {scene} is {float(frames.snr_db[scene]):.3g}: give decibels from "
            f"-{_SNR_DB:g} to {_SNR_DB:g}, or leave it out"
        )


def _first(flags: Tensor) -> int | None:
    """The first marked scene."""
    return int(flags.nonzero()[0]) if bool(flags.any()) else None


def _tensor(name: str, array: NDArray[Any]) -> Tensor:
    if array.dtype.kind not in "fciu":
        raise DataInvalid(f"{name} holds {array.dtype}: numbers were expected")
    kind = np.complex64 if array.dtype.kind == "c" else np.float32
    with np.errstate(over="ignore", invalid="ignore"):
        # What is too large becomes infinite, and is refused as such.
        single = np.array(array, dtype=kind, order="C")
    return torch.from_numpy(single)


def _shared(codes: Tensor) -> bool:
    return codes.ndim == 3 and codes.shape[0] == 1
