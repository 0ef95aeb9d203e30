"""Rates of two answers to the same scenes, over all scenes and over slices of them.

Whole scenes are resampled, with all answers to them, so the difference of two rates is the mean of
the scenes' differences, and what makes a scene hard for both cancels. All rates, their differences
and their slices are sums over scenes: one product of matrices.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import torch
from torch import Tensor

from risexp.evaluation.intervals import draws
from risexp.evaluation.scene_scores import SceneScores, count_bins, expect_same_scenes, snr_bins

Rate = Literal["success_rate", "k_acc"]
RATES: Final[tuple[Rate, ...]] = ("success_rate", "k_acc")
"""Compared rates: shares of scenes."""
WHOLE: Final = "all"
"""Name of the slice that holds all scenes."""

_CHUNK: Final = 2_000_000
"""Weights held at once."""


@dataclass(frozen=True)
class Mean:
    """A mean over scenes, and where it may lie by chance; NaN over none."""

    value: float
    low: float
    high: float

    def as_json(self) -> list[float | None]:
        """Value, lower and upper end, with null for what is undefined."""
        return [end if math.isfinite(end) else None for end in (self.value, self.low, self.high)]


Means = Mapping[str, Mapping[str, Mean]]
"""By column, then by slice."""


@dataclass(frozen=True)
class Slices:
    """Groups of the same B scenes, the whole first."""

    chosen: Mapping[str, Tensor]
    """(B,) bool by name."""

    @classmethod
    def of(cls, count: Tensor, snr_db: Tensor | None) -> "Slices":
        """The whole, the bins of SNR where that is known, and the true counts."""
        slices = {WHOLE: torch.ones_like(count, dtype=torch.bool)}
        if snr_db is not None:
            bins = snr_bins(len(count), snr_db)
            slices |= {f"SNR {name} dB": chosen for name, chosen in bins.items()}
        return cls(
            slices | {f"K = {number}": chosen for number, chosen in count_bins(count).items()}
        )

    @property
    def sizes(self) -> dict[str, int]:
        """Number of scenes of each slice."""
        return {name: int(chosen.sum()) for name, chosen in self.chosen.items()}


def rates(table: SceneScores) -> dict[str, Tensor]:
    """1 for a scene that counts for a rate, else 0, (B,) float64."""
    return {"success_rate": table.success.double(), "k_acc": table.hit.double()}


def differences(ours: SceneScores, theirs: SceneScores) -> dict[str, Tensor]:
    """Our part of each rate minus theirs, scene by scene, (B,) float64."""
    expect_same_scenes(ours, theirs)
    mine, other = rates(ours), rates(theirs)
    return {name: mine[name] - other[name] for name in RATES}


def means(
    columns: Mapping[str, Tensor],
    slices: Slices,
    *,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Means:
    """The mean of every column over every slice, with intervals, all under the same draws.

    A resample that has no scene of a slice is left out of that slice's intervals; a mean over
    scenes that are all alike has one of no width.

    The columns (B,) are rates or differences of rates. The same seed gives the same intervals on
    every device.
    """
    values = torch.stack([column.double() for column in columns.values()], dim=-1)
    masks = torch.stack([chosen.double() for chosen in slices.chosen.values()], dim=-1)
    once = values.new_ones(1, len(values))
    point = _weighted(once, values, masks)[0]
    tail = (1.0 - level) / 2.0
    sampled = torch.cat(list(_resampled(values, masks, resamples, seed)))
    low, high = sampled.nanquantile(sampled.new_tensor([tail, 1.0 - tail]), dim=0)
    return {
        column: {
            name: Mean(*(float(value[place, at]) for value in (point, low, high)))
            for at, name in enumerate(slices.chosen)
        }
        for place, column in enumerate(columns)
    }


def as_json(means_of: Means) -> dict[str, Any]:
    """Means with intervals as plain values: by column, then by slice."""
    return {
        column: {name: mean.as_json() for name, mean in by_slice.items()}
        for column, by_slice in means_of.items()
    }


def _resampled(values: Tensor, masks: Tensor, resamples: int, seed: int) -> Iterator[Tensor]:
    scenes = len(values)
    held = max(1, _CHUNK // max(scenes, 1))
    for weights in draws(scenes, resamples, seed, held, values.device):
        yield _weighted(weights, values, masks)


def _weighted(weights: Tensor, values: Tensor, masks: Tensor) -> Tensor:
    """Means (W, C, G) under W weightings of B scenes; nothing over nothing is NaN.

    `weights` are (W, B), `values` (B, C), `masks` (B, G).
    """
    both = (values.unsqueeze(-1) * masks.unsqueeze(-2)).flatten(1)
    sums = (weights @ both).view(-1, values.shape[1], masks.shape[1])
    return sums / (weights @ masks).unsqueeze(1)
