"""Percentile intervals of the scores, by a bootstrap over scenes.

Scenes are drawn with replacement, and every score, percentiles included, is computed anew from
those drawn. (B. Efron, R. Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.) A
resample in which a score is undefined is left out of that score's interval. A rate of exactly 0 or
1 has an interval of no width.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Final

import torch
from torch import Tensor

from risexp.evaluation.scene_scores import SceneScores, expect_same_scenes
from risexp.evaluation.scores import Scores, summarise, weighted


def draws(
    scenes: int, resamples: int, seed: int, held: int, device: torch.device
) -> Iterator[Tensor]:
    """How often each scene is drawn, (W, B) float64, until all resamples are through.

    At most `held` resamples are drawn at once; the draws depend on the seed only.
    """
    generator = torch.Generator().manual_seed(seed)
    for start in range(0, resamples, held):
        count = min(held, resamples - start)
        chosen = torch.randint(max(scenes, 1), (count, scenes), generator=generator)
        ones = torch.ones(chosen.shape, dtype=torch.float64)
        yield torch.zeros_like(ones).scatter_add_(1, chosen, ones).to(device)


_CHUNK: Final = 4_000_000
"""Weights of matched errors held at once."""


@dataclass(frozen=True)
class Interval:
    """Where the scores lie, or the differences of two answers' scores."""

    value: Scores
    """Of the scenes themselves."""
    low: Scores
    """Lower ends."""
    high: Scores
    """Upper ends."""

    def as_json(self) -> dict[str, list[float | None]]:
        """Lower and upper end by score, with null for what is undefined."""
        low, high = self.low.as_json(), self.high.as_json()
        return {name: [low[name], high[name]] for name in low}


def bootstrap(
    table: SceneScores, *, resamples: int = 1000, level: float = 0.95, seed: int = 0
) -> Interval:
    """The scores of these scenes with intervals.

    `level` is the share of resamples inside the intervals. The same seed gives the same intervals
    on every device.
    """
    (alone,), _ = bootstrap_jointly((table,), resamples=resamples, level=level, seed=seed)
    return alone


def bootstrap_jointly(
    tables: Sequence[SceneScores], *, resamples: int = 1000, level: float = 0.95, seed: int = 0
) -> tuple[tuple[Interval, ...], Interval]:
    """Intervals of several tables of the same scenes, one an SNR, and of their mean.

    A scene that is hard at one SNR is hard at the next, so a resample draws whole scenes, with
    their answers at all SNRs; drawn apart, the mean would look surer than it is.
    """
    samples, values = _resampled(tables, resamples, seed), _values(tables)
    intervals = tuple(
        _interval(value, drawn, level) for value, drawn in zip(values, samples, strict=True)
    )
    return intervals, _interval(values.mean(0), samples.mean(0), level)


def paired(
    ours: Sequence[SceneScores],
    theirs: Sequence[SceneScores],
    *,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Our scores minus theirs on the same scenes, in the mean over tables, one an SNR.

    Both answers are scored on the same resamples, at all SNRs, so what makes a scene hard for both
    cancels.
    """
    tables, half = (*ours, *theirs), len(ours)
    samples, values = _resampled(tables, resamples, seed), _values(tables)
    apart, value = samples[:half] - samples[half:], values[:half] - values[half:]
    return _interval(value.mean(0), apart.mean(0), level)


def _values(tables: Sequence[SceneScores]) -> Tensor:
    """Every score of every table, (tables, scores)."""
    rows = [[value for _, value in summarise(table).items()] for table in tables]
    return torch.tensor(rows, dtype=torch.float64, device=tables[0].hit.device)


def _resampled(tables: Sequence[SceneScores], resamples: int, seed: int) -> Tensor:
    """Every score of every table under the same resamples of scenes, (tables, scores, W)."""
    for other in tables[1:]:
        expect_same_scenes(tables[0], other)
    parts = [
        torch.stack([_stacked(weighted(table, weights)) for table in tables])
        for weights in _weights(tables[0], resamples, seed)
    ]
    return torch.cat(parts, dim=-1)


def _stacked(scores: dict[str, Tensor]) -> Tensor:
    return torch.stack([scores[field.name] for field in fields(Scores)])


def _weights(table: SceneScores, resamples: int, seed: int) -> Iterator[Tensor]:
    """How often each scene is drawn, (W, B) float64, until all resamples are through."""
    held = max(1, _CHUNK // max(1, 2 * table.matching.partner.numel()))
    return draws(len(table), resamples, seed, held, table.hit.device)


def _interval(value: Tensor, samples: Tensor, level: float) -> Interval:
    """From the scores (S,) and their resamples (S, W)."""
    tail = (1.0 - level) / 2.0
    low, high = samples.nanquantile(samples.new_tensor([tail, 1.0 - tail]), dim=-1)
    return Interval(*(Scores(*scores.tolist()) for scores in (value, low, high)))
