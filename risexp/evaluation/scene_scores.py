"""Every scene's own result, from which any group of scenes can be summed up or resampled."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import torch
from torch import Tensor

from risexp.data.frames import Truth
from risexp.errors import DataInvalid
from risexp.evaluation import counting
from risexp.evaluation.composite import slot_errors, slots
from risexp.evaluation.gospa import Gospa, gospa
from risexp.evaluation.matching import STRICT_TOLERANCE, TOLERANCE, Matching, match
from risexp.inference.estimate import Estimate


@dataclass(frozen=True)
class SceneScores:
    """How B scenes were answered; hit and success rest on the one count of the estimate."""

    matching: Matching
    """Pairs and raw errors."""
    gospa: Gospa
    """The distance and its parts."""

    def __len__(self) -> int:
        return len(self.matching)

    def __getitem__(self, scenes: slice | Tensor) -> Self:
        return type(self)(self.matching[scenes], self.gospa[scenes])

    @property
    def hit(self) -> Tensor:
        """(B,) bool: K^ = K."""
        return self.matching.estimated_count == self.matching.true_count

    @property
    def under(self) -> Tensor:
        """(B,) bool: K^ < K."""
        return self.matching.estimated_count < self.matching.true_count

    @property
    def over(self) -> Tensor:
        """(B,) bool: K^ > K."""
        return self.matching.estimated_count > self.matching.true_count

    @property
    def success(self) -> Tensor:
        """(B,) bool: the count is right and every source within 5 deg, 5 deg, 1 m."""
        return self.matching.within(TOLERANCE)

    @property
    def success_strict(self) -> Tensor:
        """(B,) bool: the count is right and every source within 3 deg, 3 deg, 0.5 m."""
        return self.matching.within(STRICT_TOLERANCE)

    @property
    def slots(self) -> Tensor:
        """(B,) int64: max(K, K^), what `k_loc` averages over."""
        return slots(self.matching)

    @property
    def slot_errors(self) -> Tensor:
        """(B, 3) float64: capped squared errors summed over the slots, missing ones charged."""
        return slot_errors(self.matching)

    @property
    def confusion(self) -> counting.Confusion:
        """These scenes by true and estimated count."""
        return counting.confusion(
            self.matching.true_count, self.matching.estimated_count, self.matching.partner.shape[1]
        )


def score_scenes(estimate: Estimate, truth: Truth) -> SceneScores:
    """Compare an answer with the truth, scene by scene.

    Raises:
        DataInvalid: A present source has no finite position, or the scenes are not the same.
    """
    return SceneScores(match(estimate, truth), gospa(estimate, truth))


def join(parts: Sequence[SceneScores]) -> SceneScores:
    """The scenes of several batches, one after another.

    Raises:
        DataInvalid: There is no batch at all.
    """
    if not parts:
        raise DataInvalid("no scene was scored: give at least one batch")
    return SceneScores(
        Matching(*_columns([part.matching for part in parts])),
        Gospa(*_columns([part.gospa for part in parts])),
    )


def _columns(parts: Sequence[Matching] | Sequence[Gospa]) -> list[Tensor]:
    names = [field.name for field in fields(parts[0])]
    return [torch.cat([getattr(part, name) for part in parts]) for name in names]
