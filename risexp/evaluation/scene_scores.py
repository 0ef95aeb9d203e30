"""Scores of single scenes, and their groups by SNR, by number of sources, or by weakest source.

A group is a table again: it can be summed up, resampled and counted like the whole.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import torch
from torch import Tensor

from risexp.core.batch import TensorBatch
from risexp.data.frames import Truth
from risexp.errors import DataInvalid
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

SNR_EDGES_DB: Final = (0.0, 10.0, 20.0)


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


def expect_same_scenes(ours: SceneScores, theirs: SceneScores) -> None:
    """Refuse to compare answers to other scenes, as their true counts tell."""
    if not torch.equal(ours.matching.true_count, theirs.matching.true_count):
        raise DataInvalid(
            f"the tables of {len(ours)} and {len(theirs)} scenes differ in their true counts: "
            "a paired comparison needs both answers to the same scenes"
        )


def by_snr(
    table: SceneScores, snr_db: Tensor, edges_db: Sequence[float] = SNR_EDGES_DB
) -> dict[str, SceneScores]:
    """Groups of scenes by their SNR, (B,) dB; groups without a scene are left out.

    A scene on an edge belongs to the bin above it, on the last edge to the bin below.
    """
    return {name: table[chosen] for name, chosen in snr_bins(len(table), snr_db, edges_db).items()}


def snr_bins(
    scenes: int, snr_db: Tensor, edges_db: Sequence[float] = SNR_EDGES_DB
) -> dict[str, Tensor]:
    """Which of B scenes are in which bin, (B,) bool each; bins without a scene are left out."""
    if snr_db.shape != (scenes,) or bool(snr_db.isnan().any()):
        raise DataInvalid(
            f"snr_db has shape {tuple(snr_db.shape)} and {int(snr_db.isnan().sum())} NaN where "
            f"{scenes} scenes need one number each: give the SNR the scenes were drawn with"
        )
    edges = torch.tensor(edges_db, dtype=torch.float64, device=snr_db.device)
    place = torch.bucketize(snr_db.double(), edges, right=True)
    place = torch.where(snr_db.double() == edges[-1], len(edges_db) - 1, place)
    names = [
        f"below {edges_db[0]:g}",
        *(f"{low:g} to {high:g}" for low, high in pairwise(edges_db)),
        f"above {edges_db[-1]:g}",
    ]
    return {
        name: place == position
        for position, name in enumerate(names)
        if bool((place == position).any())
    }


def by_weakest(
    table: SceneScores, source_snr_db: Tensor, edges_db: Sequence[float] = SNR_EDGES_DB
) -> dict[str, SceneScores]:
    """Groups of scenes by the SNR of their weakest source.

    `source_snr_db` (B, K_MAX) is NaN where there is no source.
    """
    weakest = source_snr_db.nan_to_num(nan=torch.inf).amin(-1)
    return by_snr(table, weakest.where(weakest < torch.inf, torch.nan), edges_db)


def by_count(table: SceneScores) -> dict[int, SceneScores]:
    """Groups of scenes by their true number of sources; counts without a scene are left out."""
    return {
        number: table[chosen] for number, chosen in count_bins(table.matching.true_count).items()
    }


def count_bins(count: Tensor) -> dict[int, Tensor]:
    """Which of B scenes have which number of sources, (B,) bool each, of those that occur."""
    return {number: count == number for number in sorted(set(count.tolist()))}
