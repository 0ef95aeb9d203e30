"""Which counts are taken for which: what a rate of right counts does not tell."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


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

    Args:
        true_count: (B,) int64, 1 .. most.
        estimated_count: (B,) int64, from 0 on.
        most: K_MAX.
    """
    width = most + 2
    cell = (true_count - 1) * width + estimated_count.clamp(0, most + 1)
    table = torch.bincount(cell, minlength=most * width).view(most, width)
    return Confusion(matrix=table[:, 1:-1], none=table[:, 0], beyond=table[:, -1])
