"""Scenes drawn anew with replacement: how often each one counts."""

from collections.abc import Iterator

import torch
from torch import Tensor


def draws(
    scenes: int, resamples: int, seed: int, held: int, device: torch.device
) -> Iterator[Tensor]:
    """How often each scene is drawn, (W, B) float64, until all resamples are through.

    Args:
        scenes: B.
        resamples: How often as many scenes are drawn.
        seed: Same seed, same draws, on every device and however many are held.
        held: Resamples at once, W at most.
        device: Where the weights are wanted.
    """
    generator = torch.Generator().manual_seed(seed)
    for start in range(0, resamples, held):
        count = min(held, resamples - start)
        chosen = torch.randint(max(scenes, 1), (count, scenes), generator=generator)
        ones = torch.ones(chosen.shape, dtype=torch.float64)
        yield torch.zeros_like(ones).scatter_add_(1, chosen, ones).to(device)
