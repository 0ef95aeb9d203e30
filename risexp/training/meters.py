"""Losses and steps of an epoch, counted on the device and read in one transfer."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from risexp.config.training import Part


class HasLoss(Protocol):
    """The answer of an objective to some scenes."""

    @property
    def total(self) -> Tensor:
        """() with its gradient: what is minimised."""

    @property
    def terms(self) -> Mapping[str, Tensor]:
        """() each: mean over the scenes of every active term, before its weight."""

    @property
    def weighted(self) -> Mapping[str, Tensor]:
        """() each: the share of every active term in the total."""


@dataclass(frozen=True)
class Losses:
    """Mean losses over the scenes of an epoch; NaN where no step was taken."""

    scenes: int
    """How many scenes the means are over."""
    total: float
    raw: Mapping[str, float]
    """Every active term, before its weight."""
    weighted: Mapping[str, float]
    """What every active term contributed to the total."""


class LossMeter:
    """Sums the losses of an epoch on the device, weighted by scenes."""

    def __init__(self, terms: Iterable[str], device: torch.device) -> None:
        """Start an epoch in which these terms are active."""
        self._terms = tuple(terms)
        self._sums = torch.zeros(1 + 2 * len(self._terms), dtype=torch.float64, device=device)
        self._scenes = torch.zeros((), dtype=torch.int64, device=device)

    def add(self, values: Tensor, scenes: int, taken: Tensor) -> None:
        """Add a batch.

        Args:
            values: (1 + 2 T,) total, raw terms and weighted terms, as `values_of` orders them.
            scenes: How many the values are means over.
            taken: () bool: whether its step was taken.
        """
        self._sums += torch.where(taken, values * scenes, 0.0)
        self._scenes += taken * scenes

    def values_of(self, loss: HasLoss) -> Tensor:
        """Total, raw and weighted terms as constants, (1 + 2 T,) float64."""
        raw = [loss.terms[name] for name in self._terms]
        weighted = [loss.weighted[name] for name in self._terms]
        return torch.stack([each.detach().double() for each in (loss.total, *raw, *weighted)])

    def read(self) -> Losses:
        """The means: one transfer."""
        values = fetch({"scenes": self._scenes, "means": self._sums / self._scenes})
        total, *terms = values["means"]
        count = len(self._terms)
        return Losses(
            scenes=int(values["scenes"][0]),
            total=total,
            raw=dict(zip(self._terms, terms[:count], strict=True)),
            weighted=dict(zip(self._terms, terms[count:], strict=True)),
        )


@dataclass(frozen=True)
class Steps:
    """What happened to the steps of one epoch."""

    batches: int
    taken: int
    """Steps taken in it."""
    refused: tuple[int, ...]
    """Batches, counted from 0, whose step was refused."""
    total: int
    """Steps taken since the run began."""
    lr: Mapping[Part, float]
    """Learning rate of each part at the last batch."""
    grad_norm: float
    """Mean norm of the gradient before clipping, over the steps taken; NaN where there is none."""
    grad_norm_max: float
    """Largest of them."""
    clipped: int
    """Steps whose gradient was shortened."""
    moved: Mapping[Part, float]
    """Norm of the sum of all updates of each part."""
    average_distance: float | None
    """Norm of the difference of averaged and plain weights; None where nothing is averaged."""
    average_moved: float | None
    """Norm of what the epoch changed in the averaged weights; None where nothing is averaged."""

    @property
    def delta_param(self) -> float:
        """Norm of the sum of all updates."""
        return float(sum(norm**2 for norm in self.moved.values()) ** 0.5)

    @property
    def refused_share(self) -> float:
        """Refused steps over batches."""
        return len(self.refused) / self.batches


class StepMeter:
    """Counts the steps of an epoch without asking the device for a number."""

    def __init__(self, batches: int, device: torch.device) -> None:
        self.batches = batches
        self._refused = torch.zeros(batches, dtype=torch.bool, device=device)
        self._taken = torch.zeros((), dtype=torch.int64, device=device)
        self._clipped = torch.zeros_like(self._taken)
        self._norms = torch.zeros((), dtype=torch.float64, device=device)
        self._largest = torch.zeros_like(self._norms)

    def add(self, batch: int, taken: Tensor, norm: Tensor, clip: float) -> None:
        """Add a batch by its number: () whether its step was taken, () norm of its gradient."""
        kept = torch.where(taken, norm.double(), 0.0)
        self._refused[batch] = ~taken
        self._taken += taken
        self._clipped += kept > clip
        self._norms += kept
        self._largest = self._largest.maximum(kept)

    def tensors(self) -> dict[str, Tensor]:
        """The counts, still on the device."""
        return {
            "refused": self._refused,
            "taken": self._taken,
            "clipped": self._clipped,
            "grad_norm": self._norms / self._taken,
            "grad_norm_max": self._largest,
        }


def fetch(tensors: Mapping[str, Tensor]) -> dict[str, list[float]]:
    """The values of named tensors, flattened, as Python floats; the host waits once."""
    flat = torch.cat([tensor.detach().double().flatten() for tensor in tensors.values()])
    values = iter(flat.tolist())
    return {name: [next(values) for _ in range(each.numel())] for name, each in tensors.items()}
