"""Measure what methods lose when the physics differs from their assumptions, scene by scene."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count, pairwise
from typing import Final

import torch
from torch import Tensor

from risexp.app.benchmark.methods import Method
from risexp.app.benchmark.robustness.scenarios import Scenario
from risexp.config.run import RunConfig
from risexp.data.frames import Scenes
from risexp.data.scenes import SceneGenerator
from risexp.evaluation.intervals import Interval, bootstrap, paired
from risexp.evaluation.matching import TOLERANCE
from risexp.evaluation.scene_scores import SceneScores, score_scenes
from risexp.inference.estimate import Estimate

Build = Callable[[RunConfig], Mapping[str, Method]]
"""Methods by their names, as receivers of one configuration."""
_Batches = dict[str, dict[str, list[tuple[SceneScores, int]]]]
"""Scores of batches by level and method, with the number of answers that are not finite."""

SPLIT: Final = "test"
RANGE_EDGES_M: Final = (0.0, 1.0, 2.0, 4.0, float("inf"))
"""Edges of the bins of a source's range."""


@dataclass(frozen=True)
class MethodAnswers:
    """One method's answers to the scenes of one level."""

    scores: SceneScores
    interval: Interval
    """Scores of all scenes."""
    lost: Interval | None
    """Undisturbed scores minus these, paired by scene; None for the undisturbed level."""
    broken: int
    """Scenes with a position that is not finite; they are scored as empty answers."""


@dataclass(frozen=True)
class RobustnessRow:
    """A scenario at one SNR."""

    name: str
    scenario: Scenario
    snr_db: float
    range_m: Tensor
    """(B, K_MAX) of the sources; absent ones NaN."""
    answers: Mapping[str, Mapping[str, MethodAnswers]]
    """By level and method."""

    def found_by_range(self, level: str, method: str) -> dict[str, float]:
        """Share of located sources by range, right count or not; empty bins are left out."""
        matching = self.answers[level][method].scores.matching
        located = (matching.errors.abs() <= matching.errors.new_tensor(TOLERANCE)).all(-1)
        shares = {}
        for low, high in pairwise(RANGE_EDGES_M):
            inside = (self.range_m >= low) & (self.range_m < high)
            if bool(inside.any()):
                shares[_bin_name(low, high)] = float(located[inside].double().mean())
        return shares


@dataclass(frozen=True)
class RobustnessTable:
    """All scenarios at all SNRs."""

    config: RunConfig
    scenes: int
    methods: tuple[str, ...]
    snr_db: tuple[float, ...]
    outcomes: tuple[RobustnessRow, ...]
    """Ordered by scenario, then by SNR."""


def measure_robustness(
    config: RunConfig,
    build: Build,
    scenarios: Mapping[str, Scenario],
    snr_db: Sequence[float],
    scenes: int,
    advance: Callable[[int], None],
) -> RobustnessTable:
    """Run every method on the same scenes at every level of every scenario.

    The scenes at one SNR are the first of the test split that suit the scenario. `advance` is
    called with a number of scenes after a method answered them.
    """
    methods = tuple(build(config))
    outcomes = [
        _outcome(name, scenario, build, snr, scenes, advance)
        for name, scenario in scenarios.items()
        for snr in snr_db
    ]
    return RobustnessTable(config, scenes, methods, tuple(snr_db), tuple(outcomes))


def _batches(scenario: Scenario, snr_db: float, scenes: int) -> Iterator[Scenes]:
    """The first scenes of the split that hold enough sources, a block at a time."""
    config = scenario.config.replace({"data.snr_db": [snr_db, snr_db]})
    generator = SceneGenerator(config.physics, config.data)
    left = scenes
    for block in count():
        kept = _holding(generator.block(SPLIT, block), scenario.sources_min)[:left]
        left -= len(kept)
        yield kept
        if left == 0:
            return


def _holding(scenes: Scenes, sources: int) -> Scenes:
    """The scenes with at least so many sources."""
    places = (scenes.truth.count >= sources).nonzero().squeeze(-1).tolist()
    if len(places) == len(scenes):
        return scenes
    return Scenes.join([scenes[:0], *(scenes[place : place + 1] for place in places)])


def _outcome(
    name: str,
    scenario: Scenario,
    build: Build,
    snr_db: float,
    scenes: int,
    advance: Callable[[int], None],
) -> RobustnessRow:
    receivers = {level.name: build(level.receiver) for level in scenario.levels}
    ranges: list[Tensor] = []
    batches: _Batches = {
        level: {method: [] for method in methods} for level, methods in receivers.items()
    }
    for batch in _batches(scenario, snr_db, scenes):
        ranges.append(batch.truth.range_m)
        for level in scenario.levels:
            methods = receivers[level.name]
            _answer(level.disturb(batch), methods, batches[level.name])
            advance(len(batch) * len(methods))
    return RobustnessRow(name, scenario, snr_db, torch.cat(ranges), _compared(scenario, batches))


def _answer(
    scenes: Scenes,
    methods: Mapping[str, Method],
    batches: Mapping[str, list[tuple[SceneScores, int]]],
) -> None:
    """Add the scores of every method, and the number of its answers that are not finite."""
    for name, method in methods.items():
        estimate, broken = without_broken(method(scenes))
        batches[name].append((score_scenes(estimate, scenes.truth), broken))


def without_broken(estimate: Estimate) -> tuple[Estimate, int]:
    """The estimate without the scenes that hold a position that is not finite; their number."""
    where = torch.stack([estimate.phi_rad, estimate.theta_rad, estimate.range_m])
    broken = (estimate.present & ~where.isfinite().all(0)).any(-1)
    phi, theta, range_m = where.masked_fill(broken.unsqueeze(-1), torch.nan)
    kept = replace(estimate, phi_rad=phi, theta_rad=theta, range_m=range_m)
    return replace(kept, count=estimate.count * ~broken), int(broken.sum())


def _compared(scenario: Scenario, batches: _Batches) -> dict[str, dict[str, MethodAnswers]]:
    """The scores of every level, compared with the undisturbed ones."""
    scores = {
        level: {
            method: SceneScores.join([scores for scores, _ in parts])
            for method, parts in by_method.items()
        }
        for level, by_method in batches.items()
    }
    calm = scores[scenario.undisturbed]
    return {
        level: {
            method: MethodAnswers(
                scores=own,
                interval=bootstrap(own),
                lost=None if level == scenario.undisturbed else paired([calm[method]], [own]),
                broken=sum(broken for _, broken in batches[level][method]),
            )
            for method, own in by_method.items()
        }
        for level, by_method in scores.items()
    }


def _bin_name(low: float, high: float) -> str:
    if low == 0.0:
        return f"below {high:g} m"
    return f"{low:g} to {high:g} m" if high < float("inf") else f"above {low:g} m"
