"""The loss of an epoch: its mean over scenes, of all batches whose step was taken."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from risexp.training.transfer import fetch


class HasLoss(Protocol):
    """What an objective answers to some scenes."""

    @property
    def total(self) -> Tensor:
        """() with its gradient: what is descended."""

    @property
    def terms(self) -> Mapping[str, Tensor]:
        """() each: mean over the scenes of every active term, before its weight."""

    @property
    def weighted(self) -> Mapping[str, Tensor]:
        """() each: what every active term contributes to the total."""


@dataclass(frozen=True)
class Losses:
    """Means over the scenes of an epoch; NaN where no step was taken."""

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
        """Begin an epoch in which these terms are active."""
        self._terms = tuple(terms)
        self._sums = torch.zeros(1 + 2 * len(self._terms), dtype=torch.float64, device=device)
        self._scenes = torch.zeros((), dtype=torch.int64, device=device)

    def add(self, values: Tensor, scenes: int, taken: Tensor) -> None:
        """Note a batch of so many scenes.

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
        found = fetch({"scenes": self._scenes, "means": self._sums / self._scenes})
        total, *terms = found["means"]
        count = len(self._terms)
        return Losses(
            scenes=int(found["scenes"][0]),
            total=total,
            raw=dict(zip(self._terms, terms[:count], strict=True)),
            weighted=dict(zip(self._terms, terms[count:], strict=True)),
        )
