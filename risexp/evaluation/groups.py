"""Groups of scenes by SNR, by number of sources, or by the SNR of the weakest source.

A group is a table again: it can be summed up, resampled and counted like the whole.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import torch
from torch import Tensor

from risexp.errors import DataInvalid
from risexp.evaluation.scene_scores import SceneScores

SNR_EDGES_DB: Final = (0.0, 10.0, 20.0)


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
