"""Measure how well methods count and localise the same scenes at several SNRs."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from risexp.app.benchmark.methods import Method, method_named
from risexp.app.benchmark.timing import dense_ms, single_ms, timed_scores
from risexp.config.run import RunConfig
from risexp.data.frames import Scenes
from risexp.data.scenes import SceneGenerator, panel_of, source_snr_db
from risexp.data.streams import BLOCK, Split
from risexp.errors import ConfigInvalid
from risexp.evaluation.intervals import Interval, bootstrap_jointly
from risexp.evaluation.references import References, references
from risexp.evaluation.scene_scores import SceneScores

Axes = tuple[float, float, float]
"""Numbers for phi, theta and range."""

_BISECTIONS = 100
"""Halvings of an interval; more than a float64 can tell apart."""
_ENDLESS = 1e6


@dataclass(frozen=True)
class SnrLevel:
    """The scenes of one SNR; scenes of different SNRs differ in the power of their noise only."""

    snr_db: float
    references: References
    source_snr_db: Tensor
    """(B, K_MAX): of each source alone; absent ones NaN."""

    @property
    def key(self) -> str:
        """The SNR as text."""
        return f"{self.snr_db:g}"

    @property
    def deviation(self) -> Tensor:
        """Bound on phi (deg), theta (deg) and range (m), (B, K_MAX, 3); absent sources NaN."""
        phi, theta, range_m = self.references.deviation.unbind(-1)
        return torch.stack([phi.rad2deg(), theta.rad2deg(), range_m], dim=-1)


@dataclass(frozen=True)
class AccuracyRow:
    """Scores and times of one method, SNR by SNR."""

    scores: tuple[SceneScores, ...]
    by_level: tuple[Interval, ...]
    mean: Interval
    """Mean scores over SNRs; a resample draws a scene at all SNRs together."""
    over_crb_db: tuple[Axes, ...]
    """Median error of matched pairs over that at the Cramer-Rao bound of the very sources."""
    ms_per_scene: tuple[float, ...]
    """In batches."""
    ms_single: float
    """Median of calls with one scene."""

    @property
    def pooled(self) -> SceneScores:
        """The scenes of all SNRs together."""
        return SceneScores.join(self.scores)

    @property
    def mean_ms(self) -> float:
        """Milliseconds a scene in batches, in the mean over SNRs."""
        return average(self.ms_per_scene)


@dataclass(frozen=True)
class AccuracyTable:
    """Scores of all methods on the same scenes, with references, bound and chance."""

    config: RunConfig
    split: Split
    scenes_per_snr: int
    levels: tuple[SnrLevel, ...]
    """Ascending in SNR."""
    rows: Mapping[str, AccuracyRow]
    """By the name of the method."""
    dense_ms: float
    """Milliseconds a scene of MUSIC on whole matrices, over the grid that the methods search."""

    @property
    def references(self) -> dict[str, tuple[float, ...]]:
        """References, bound and chance by name, SNR by SNR.

        Chance always answers one count, all of which are equally frequent, and locates nothing.
        """
        means = [asdict(level.references.means()) for level in self.levels]
        known = {name: tuple(row[name] for row in means) for name in means[0]}
        counted = 1.0 / self.config.data.sources_max
        chance = {"k_chance": counted, "success_chance": 0.0}
        return known | {name: (value,) * len(means) for name, value in chance.items()}

    def dense_ratio(self, name: str) -> float:
        """How many times longer the dense implementation takes for a scene than a method."""
        return self.dense_ms / max(self.rows[name].mean_ms, 1e-9)


def average(values: Sequence[float]) -> float:
    """The mean over SNRs; NaN if one of them is."""
    return math.fsum(values) / len(values)


def chosen_methods(names: Sequence[str], config: RunConfig) -> dict[str, Method]:
    """Build methods by their names."""
    if not names:
        raise ConfigInvalid("--methods names none: try nomp")
    for name in names:
        if names.count(name) > 1:
            raise ConfigInvalid(f"--methods names {name} twice: once is enough")
    return {name: method_named(name, config) for name in names}


def measure_accuracy(
    config: RunConfig,
    methods: Mapping[str, Method],
    snr_db: Sequence[float],
    scenes: int,
    split: Split,
    advance: Callable[[int], None],
) -> AccuracyTable:
    """Run every method on every scene, and measure its scores and times.

    `methods` are named by their rows; `snr_db` ascends; the scenes at one SNR are the first of the
    split. `advance` is called with a number of scenes, after a method and after the references.
    """
    middle = next(_batches(config, split, scenes, snr_db[len(snr_db) // 2]))
    # Before all else: the first call of a method also builds what the later ones share.
    single = {name: single_ms(method, middle) for name, method in methods.items()}
    measured = [
        _measure(config, _batches(config, split, scenes, snr), snr, methods, advance)
        for snr in snr_db
    ]
    levels = tuple(level for level, _ in measured)
    rows = {
        name: _row(levels, [answers[name] for _, answers in measured], single[name])
        for name in methods
    }
    return AccuracyTable(config, split, scenes, levels, rows, dense_ms(config, middle))


def over_crb_db(scores: SceneScores, level: SnrLevel) -> Axes:
    """20 log10 of median error over median error at the bound, matched sources only."""
    matched = scores.matching.matched
    if not bool(matched.any()):
        return math.nan, math.nan, math.nan
    errors = scores.matching.errors[matched].abs().median(0).values
    bound = median_at_bound(level.deviation[matched])
    phi, theta, range_m = (20.0 * (errors / bound).log10()).tolist()
    return phi, theta, range_m


def median_at_bound(deviation: Tensor) -> Tensor:
    """Median of |error| of P sources with errors N(0, deviation^2): (P, axes) to (axes,).

    The sources' deviations differ by orders of magnitude, so it is not 0.6745 times their median:
    it is the root of mean erf(x / (sqrt(2) deviation)) = 1/2, found by bisection.
    """
    # Where a bound is infinite the median is still that of the others.
    low, high = torch.zeros_like(deviation[0]), deviation.clamp(max=_ENDLESS).amax(0)
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        above = torch.erf(middle / (math.sqrt(2.0) * deviation)).mean(0) > 0.5
        low, high = torch.where(above, low, middle), torch.where(above, middle, high)
    return 0.5 * (low + high)


def _batches(config: RunConfig, split: Split, scenes: int, snr_db: float) -> Iterator[Scenes]:
    """The scenes of one SNR, from the same random numbers at every SNR."""
    config = config.replace({"data.snr_db": [snr_db, snr_db]})
    generator = SceneGenerator(config.physics, config.data)
    for start in range(0, scenes, BLOCK):
        yield generator.scenes(split, start, min(BLOCK, scenes - start))


def _measure(
    config: RunConfig,
    batches: Iterator[Scenes],
    snr_db: float,
    methods: Mapping[str, Method],
    advance: Callable[[int], None],
) -> tuple[SnrLevel, dict[str, tuple[SceneScores, float]]]:
    """References of one SNR's scenes, and every method's scores and milliseconds a scene."""
    known: list[References] = []
    source_snr: list[Tensor] = []
    scores: dict[str, list[SceneScores]] = {name: [] for name in methods}
    seconds = dict.fromkeys(methods, 0.0)
    for scenes in batches:
        known.append(references(config.physics, config.data, scenes))
        source_snr.append(source_snr_db(panel_of(config.physics), scenes))
        advance(len(scenes))
        for name, method in methods.items():
            scored, took = timed_scores(method, scenes)
            scores[name].append(scored)
            seconds[name] += took
            advance(len(scenes))
    level = SnrLevel(snr_db, References.join(known), torch.cat(source_snr))
    ms = 1e3 / len(level.source_snr_db)
    return level, {
        name: (SceneScores.join(parts), ms * seconds[name]) for name, parts in scores.items()
    }


def _row(
    levels: Sequence[SnrLevel], answers: Sequence[tuple[SceneScores, float]], ms_single: float
) -> AccuracyRow:
    scores, times = zip(*answers, strict=True)
    by_level, over_all = bootstrap_jointly(scores)
    over = tuple(over_crb_db(table, level) for table, level in zip(scores, levels, strict=True))
    return AccuracyRow(scores, by_level, over_all, over, times, ms_single)
