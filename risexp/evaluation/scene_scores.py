"""Scores of single scenes, from which any group of scenes can be summed up or resampled."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from risexp.core.batch import TensorBatch
from risexp.data.frames import Truth
from risexp.evaluation.matching import (
    CAP,
    STRICT_TOLERANCE,
    TOLERANCE,
    Gospa,
    Matching,
    gospa,
    match,
)
from risexp.inference.estimate import Estimate


@dataclass(frozen=True)
class Confusion:
    """How often K was answered by K^; every scene is in exactly one cell."""

    matrix: Tensor
    """(K_MAX, K_MAX) int64: rows the true K = 1 .. K_MAX, columns the estimated one."""
    none: Tensor
    """(K_MAX,) int64: scenes of each true K in which no source was found."""
    beyond: Tensor
    """(K_MAX,) int64: scenes of each true K in which more than K_MAX sources were found."""


@dataclass(frozen=True)
class Confusions:
    """The confusion of all scenes, and of those of each SNR."""

    whole: Confusion
    by_snr: Mapping[str, Confusion]
    """By the bin's name; bins without a scene are left out."""


def confusion(true_count: Tensor, estimated_count: Tensor, most: int) -> Confusion:
    """Count scenes by true and estimated number of sources.

    Counts are (B,) int64: the true ones 1 .. most, the estimated ones from 0 on.
    """
    width = most + 2
    cell = (true_count - 1) * width + estimated_count.clamp(0, most + 1)
    table = torch.bincount(cell, minlength=most * width).view(most, width)
    return Confusion(matrix=table[:, 1:-1], none=table[:, 0], beyond=table[:, -1])


def k_loc(k_acc: Tensor, success_rate: Tensor, mean_slot_errors: Tensor) -> Tensor:
    """The composite score of two rates (...) and the mean squared slot errors (..., 3).

        k_loc = (1 - k_acc) + e_phi + e_theta + e_r - success_rate
        e_x   = sqrt(mean of min(c, |dx| / tolerance_x)^2 over all slots), max(K, K^) slots a scene

    with c = 3; a slot without a pair counts c. Perfect is -1, the worst is 10.
    """
    return (1.0 - k_acc) + mean_slot_errors.sqrt().sum(-1) - success_rate


@dataclass(frozen=True)
class SceneScores(TensorBatch):
    """How B scenes were answered; hit and success rest on the one count of the estimate."""

    matching: Matching
    """Pairs and raw errors."""
    gospa: Gospa
    """The distance and its parts."""

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
        """Slots of a scene, max(K, K^), (B,) int64: `k_loc` averages over them."""
        return torch.maximum(self.matching.true_count, self.matching.estimated_count)

    @property
    def slot_errors(self) -> Tensor:
        """Sum of min(c, |dx| / tolerance)^2 over a scene's slots for phi, theta, r, (B, 3)."""
        paired = self.matching.relative.clamp(max=CAP).square().nan_to_num(nan=0.0).sum(-2)
        alone = self.slots - self.matching.pairs
        return paired + CAP**2 * alone.unsqueeze(-1)

    @property
    def confusion(self) -> Confusion:
        """These scenes by true and estimated count."""
        return confusion(
            self.matching.true_count, self.matching.estimated_count, self.matching.partner.shape[1]
        )


def score_scenes(estimate: Estimate, truth: Truth) -> SceneScores:
    """Compare an answer with the truth, scene by scene."""
    return SceneScores(match(estimate, truth), gospa(estimate, truth))
