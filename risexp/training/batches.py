"""The batches of every epoch, each named by (epoch, batch), so that any can be had again."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

from risexp.data.frames import Scenes
from risexp.data.scenes import SceneGenerator


class KeyedBatches(Protocol):
    """Batches that are named by epoch, from 1, and batch, from 0; each can be had at any time."""

    def __len__(self) -> int: ...

    def epoch(self, epoch: int, /) -> Iterator[Scenes]:
        """All batches of an epoch, in order."""

    def scenes(self, epoch: int, batch: int, /) -> Scenes:
        """One batch of an epoch."""


@dataclass(frozen=True)
class Batches:
    """Consecutive scenes of the training stream: epoch after epoch without end, none seen twice."""

    generator: SceneGenerator
    size: int
    """Scenes of a batch."""
    count: int
    """Batches of an epoch."""

    def __len__(self) -> int:
        return self.count

    def epoch(self, epoch: int) -> Iterator[Scenes]:
        """The batches of an epoch, counted from 1, each block of scenes drawn once."""
        walk = self.generator.batches("train", self.size, self._start(epoch, 0))
        return islice(walk, self.count)

    def scenes(self, epoch: int, batch: int) -> Scenes:
        """One batch of an epoch, counted from 0."""
        return self.generator.scenes("train", self._start(epoch, batch), self.size)

    def _start(self, epoch: int, batch: int) -> int:
        return ((epoch - 1) * self.count + batch) * self.size


@dataclass(frozen=True)
class RepeatedBatches:
    """The batches of the first epoch in every epoch, drawn once and kept, to overfit them."""

    first: Batches
    _kept: list[Scenes] = field(default_factory=list, compare=False)

    def __len__(self) -> int:
        return len(self.first)

    def epoch(self, epoch: int) -> Iterator[Scenes]:
        """The batches of the first epoch, whichever is asked for."""
        return (self.scenes(epoch, batch) for batch in range(len(self)))

    def scenes(self, epoch: int, batch: int) -> Scenes:
        """One batch of the first epoch, counted from 0."""
        del epoch
        if not self._kept:
            self._kept.extend(self.first.epoch(1))
        return self._kept[batch]
