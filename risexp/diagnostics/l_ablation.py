"""What more snapshots buy: counts that are right, and what they cost."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Final, Self

from torch import Tensor

from risexp.config.run import RunConfig
from risexp.data.frames import Scenes
from risexp.diagnostics.draws import drawn
from risexp.diagnostics.k_head import counts, taught_fresh
from risexp.diagnostics.report import Rate, Report, Row, Table
from risexp.diagnostics.school import School
from risexp.estimation.setting import Setting
from risexp.inference.nomp import Nomp

LENGTHS: Final = (16, 32, 64)
"""Snapshots of a scene (L)."""
_WARM: Final = 8
"""Scenes answered before time is taken: tables are made by the first ones."""


@dataclass(frozen=True)
class Measured:
    """How one counter did on one set of scenes."""

    hits: Tensor
    """(B,) bool: K^ = K."""
    scene_ms: float
    """Wall time of a scene."""

    @classmethod
    def of(cls, count: Callable[[Scenes], Tensor], scenes: Scenes) -> Self:
        """Count scenes, and take the time."""
        count(scenes[:_WARM])
        begun = perf_counter()
        hits = count(scenes) == scenes.truth.count
        return cls(hits, 1e3 * (perf_counter() - begun) / len(scenes))


def probe_l_ablation(
    config: RunConfig,
    scenes: int,
    train_scenes: int = 0,
    lengths: Sequence[int] = LENGTHS,
    school: School | None = None,
) -> Report:
    """Count the same sources through the same channel with more and more snapshots.

    Args:
        config: The law of the scenes.
        scenes: How many are counted at each length.
        train_scenes: How many a network sees once before it counts; 0 leaves the network out.
        lengths: Snapshots.
        school: The code that trains the network.
    """
    rows: list[Row] = []
    hits: list[Tensor] = []
    for length in lengths:
        longer = config.replace({"physics.snapshots": length})
        judged = drawn(longer, scenes)
        found = [Measured.of(_nomp(longer), judged)]
        if train_scenes:
            found.append(Measured.of(_network(longer, train_scenes, school or School()), judged))
        hits.append(found[0].hits)
        rows.append((length, longer.physics.equations, *_cells(found)))
    names = ("NOMP", f"network after {train_scenes} scenes")[: 2 if train_scenes else 1]
    headings = (
        "L",
        "equations",
        *(head for name in names for head in (name, f"{name.split()[0]} ms a scene")),
    )
    table = Table("K accuracy with 95 % intervals, and its cost", headings, tuple(rows))
    return Report("l-ablation", "info", (table,), _advice(lengths, hits))


def _nomp(config: RunConfig) -> Callable[[Scenes], Tensor]:
    localise = Nomp(Setting.of(config))
    return lambda scenes: localise(scenes.frames).count


def _network(config: RunConfig, scenes: int, school: School) -> Callable[[Scenes], Tensor]:
    network, teacher = taught_fresh(config, scenes, school), school.teacher(config)
    beta = config.beta.final
    return lambda judged: counts(network, teacher, judged, beta).answers


def _cells(found: Sequence[Measured]) -> list[Rate | float]:
    return [cell for each in found for cell in (Rate.of(each.hits), each.scene_ms)]


def _advice(lengths: Sequence[int], hits: Sequence[Tensor]) -> tuple[str, ...]:
    """What NOMP gains from each length to the next, scene by scene."""
    said = []
    for place in range(1, len(lengths)):
        gain = hits[place].double() - hits[place - 1].double()
        mean, spread = float(gain.mean()), float(gain.std(correction=0)) / len(gain) ** 0.5
        sure = abs(mean) > 1.96 * spread
        steps = f"From {lengths[place - 1]} to {lengths[place]} snapshots NOMP"
        told = f"gains {mean:+.3f} +- {1.96 * spread:.3f} in K accuracy"
        said.append(f"{steps} {told}." if sure else f"{steps} {told}: nothing these scenes show.")
    return tuple(said)
