"""What information criteria answer when they are asked for the number of sources."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import get_args

import torch
from torch import Tensor

from risexp.config.run import RunConfig
from risexp.covariance.sampled import Criterion
from risexp.data.scenes import panel_of, source_steering
from risexp.diagnostics.draws import drawn, scenes_at
from risexp.diagnostics.ideal import SNAPSHOTS, far_power, ideal_eigenvalues, orthogonal_beams
from risexp.diagnostics.report import Rate, Table
from risexp.diagnostics.spectra import covariances
from risexp.evaluation.scene_scores import confusion

OrderRule = Callable[[Criterion, Tensor, int, int], Tensor]
"""Criterion, eigenvalues (B, p), snapshots and K_MAX to a count (B,)."""

CRITERIA: tuple[Criterion, ...] = get_args(Criterion)


@dataclass(frozen=True)
class OrderCounts:
    """What one criterion answers about one spectrum."""

    criterion: Criterion
    spectrum: str
    counts: Tensor
    """(levels, B) int64: K^ of the same scenes at every level of the noise."""
    truth: Tensor
    """(B,) int64: K."""

    @property
    def label(self) -> str:
        """Criterion and spectrum in a few words."""
        return f"{self.criterion.upper()} {self.spectrum}"

    @property
    def hits(self) -> Tensor:
        """(levels, B) bool: K^ = K."""
        return self.counts == self.truth

    @property
    def rate(self) -> Rate:
        """K accuracy over all levels; a scene counts once, however many levels it is seen at."""
        return Rate.of(self.hits.double().mean(0))

    def confusion(self, most: int) -> Table:
        """Scenes of all levels by true and answered count."""
        truth = self.truth.expand_as(self.counts)
        found = confusion(truth.flatten(), self.counts.flatten(), most)
        rows = enumerate(found.matrix.tolist(), start=1)
        return Table(
            f"{self.label}: scenes by true and answered count",
            ("true K", *(str(count) for count in range(1, most + 1))),
            tuple((count, *row) for count, row in rows),
        )


def on_ideal_data(config: RunConfig, scenes: int, rule: OrderRule) -> tuple[OrderCounts, ...]:
    """Answers about beams that no panel could confuse, then about the law's own sources.

    Both are seen directly, with fresh symbols and at equal mean power.
    """
    most, truth = config.data.sources_max, drawn(config, scenes).truth
    steering = {
        "on ideal data": orthogonal_beams(config, truth.count),
        "on these sources seen directly": source_steering(panel_of(config.physics), truth),
    }
    spectra = {
        name: ideal_eigenvalues(vectors, far_power(config)) for name, vectors in steering.items()
    }
    return tuple(
        OrderCounts(criterion, name, rule(criterion, values, SNAPSHOTS, most)[None], truth.count)
        for name, values in spectra.items()
        for criterion in CRITERIA
    )


def on_scenes(
    config: RunConfig, scenes: int, levels: Sequence[float], rule: OrderRule
) -> tuple[OrderCounts, ...]:
    """Answers about every measured covariance that has more than one eigenvalue to compare."""
    most, counts = config.data.sources_max, dict[tuple[str, Criterion], list[Tensor]]()
    truth = drawn(config, scenes).truth.count
    for level in levels:
        frames = scenes_at(config, level, scenes).frames
        found = covariances(config.physics.symbols, frames, config.sampled.ridge)
        for name, covariance in found.items():
            values = covariance.eigenvalues()
            for criterion in CRITERIA if values.shape[-1] > 1 else ():
                answer = rule(criterion, values, frames.y.shape[1], most)
                counts.setdefault((name, criterion), []).append(answer)
    return tuple(
        OrderCounts(criterion, name, torch.stack(answered), truth)
        for (name, criterion), answered in counts.items()
    )
