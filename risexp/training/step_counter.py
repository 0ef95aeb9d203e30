"""Step accounting: what the gate let through, counted on the device and read once an epoch."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from risexp.config.training import Part


@dataclass(frozen=True)
class Steps:
    """What happened to the steps of one epoch."""

    batches: int
    """Batches the epoch has."""
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


class Counter:
    """Counts the steps of an epoch without asking the device for a number."""

    def __init__(self, batches: int, device: torch.device) -> None:
        self.batches = batches
        self._refused = torch.zeros(batches, dtype=torch.bool, device=device)
        self._taken = torch.zeros((), dtype=torch.int64, device=device)
        self._clipped = torch.zeros_like(self._taken)
        self._norms = torch.zeros((), dtype=torch.float64, device=device)
        self._largest = torch.zeros_like(self._norms)

    def add(self, batch: int, taken: Tensor, norm: Tensor, clip: float) -> None:
        """Note a batch by its number: () whether its step was taken, () norm of its gradient."""
        kept = torch.where(taken, norm.double(), 0.0)
        self._refused[batch] = ~taken
        self._taken += taken
        self._clipped += kept > clip
        self._norms += kept
        self._largest = self._largest.maximum(kept)

    def tensors(self) -> dict[str, Tensor]:
        """What was counted, still on the device."""
        return {
            "refused": self._refused,
            "taken": self._taken,
            "clipped": self._clipped,
            "grad_norm": self._norms / self._taken,
            "grad_norm_max": self._largest,
        }
