"""What more snapshots buy: counts that are right, and what they cost."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from time import perf_counter
from typing import Final, Self

from torch import Tensor

from risexp.config.run import RunConfig
from risexp.data.frames import Scenes
from risexp.diagnostics.draws import drawn
from risexp.diagnostics.k_head import counts, taught_fresh
from risexp.diagnostics.probe_trainer import ProbeTrainer
from risexp.diagnostics.report import Cell, Rate, Report, Row, Table
from risexp.estimation.receiver_model import ReceiverModel
from risexp.inference.nomp import Nomp

LENGTHS: Final = (16, 32, 64)
"""Snapshots of a scene (L)."""
_NOMP: Final = "NOMP"
_TRAINED: Final = "trained network"
_WARM: Final = 8
"""Scenes answered before time is taken: tables are made by the first ones."""

Counter = Callable[[Scenes], Tensor]
"""From scenes to their counts, (B,) int64; it looks at the frames alone."""


@dataclass(frozen=True)
class Learned:
    """A network that was trained for scenes of one length."""

    run: str
    """Where its weights come from."""
    count: Counter


@dataclass(frozen=True)
class Measured:
    """How one counter did on one set of scenes."""

    hits: Tensor
    """(B,) bool: K^ = K."""
    scene_ms: float
    """Wall time of a scene."""

    @classmethod
    def of(cls, count: Counter, scenes: Scenes) -> Self:
        """Count scenes, and take the time."""
        count(scenes[:_WARM])
        begun = perf_counter()
        hits = count(scenes) == scenes.truth.count
        return cls(hits, 1e3 * (perf_counter() - begun) / len(scenes))


Found = Mapping[int, Mapping[str, Measured]]
"""By length and by the name of the counter."""


def probe_l_ablation(
    config: RunConfig,
    scenes: int,
    train_scenes: int = 0,
    learned: Mapping[int, Learned] | None = None,
    lengths: Sequence[int] = LENGTHS,
    school: ProbeTrainer | None = None,
) -> Report:
    """Count the same sources through the same channel with more and more snapshots.

    Args:
        config: The law of the scenes.
        scenes: How many are counted at each length.
        train_scenes: How many a network sees once before it counts; 0 leaves the network out.
        learned: Networks that are trained already, by the length they were trained for.
        lengths: Snapshots.
        school: The code that trains the network.
    """
    learned = learned or {}
    found: dict[int, dict[str, Measured]] = {}
    equations: dict[int, int] = {}
    for length in lengths:
        longer = config.replace({"physics.snapshots": length})
        judged = drawn(longer, scenes)
        counters = {_NOMP: _nomp(longer)}
        if train_scenes:
            fresh = _network(longer, train_scenes, school or ProbeTrainer())
            counters[f"network after {train_scenes} scenes"] = fresh
        if length in learned:
            counters[_TRAINED] = learned[length].count
        found[length] = {name: Measured.of(count, judged) for name, count in counters.items()}
        equations[length] = longer.physics.equations
    table = _table(found, equations, {length: each.run for length, each in learned.items()})
    advice = (*_gains(found), *_beside_nomp(found), *_untrained(found))
    return Report("l-ablation", "info", (table,), advice)


def listed(lengths: Sequence[int]) -> str:
    """Lengths as a sentence names them."""
    *first, last = map(str, lengths)
    return f"{', '.join(first)} and {last}" if first else last


def _nomp(config: RunConfig) -> Counter:
    localise = Nomp(ReceiverModel.of(config))
    return lambda scenes: localise(scenes.frames).count


def _network(config: RunConfig, scenes: int, school: ProbeTrainer) -> Counter:
    network, teacher = taught_fresh(config, scenes, school), school.teacher(config)
    beta = config.beta.final
    return lambda judged: counts(network, teacher, judged, beta).answers


def _table(found: Found, equations: Mapping[int, int], runs: Mapping[int, str]) -> Table:
    names = _names(found)
    heads = (head for name in names for head in (name, f"{name.split(' after ')[0]} ms a scene"))
    rows: list[Row] = [
        (
            length,
            equations[length],
            *_cells(measured, names),
            *((runs.get(length),) if runs else ()),
        )
        for length, measured in found.items()
    ]
    headings = ("L", "equations", *heads, *(("run",) if runs else ()))
    return Table("K accuracy with 95 % intervals, and its cost", headings, tuple(rows))


def _cells(measured: Mapping[str, Measured], names: Sequence[str]) -> Iterator[Cell]:
    for name in names:
        each = measured.get(name)
        yield from (None, None) if each is None else (Rate.of(each.hits), each.scene_ms)


def _names(found: Found) -> tuple[str, ...]:
    """Every counter that was asked at any length."""
    return tuple(dict.fromkeys(name for measured in found.values() for name in measured))


def _gains(found: Found) -> Iterator[str]:
    """What each counter gains from one length to the next, scene by scene."""
    for name in _names(found):
        known = {length: each[name].hits for length, each in found.items() if name in each}
        for fewer, more in pairwise(known):
            gain = _gain(known[more], known[fewer])
            who = name if name == _NOMP else f"the {name}"
            yield f"From {fewer} to {more} snapshots {who} gains {gain}."


def _beside_nomp(found: Found) -> Iterator[str]:
    """What a trained network counts beside NOMP, scene by scene."""
    for length, each in found.items():
        if _TRAINED in each:
            gain = _gain(each[_TRAINED].hits, each[_NOMP].hits)
            yield f"At {length} snapshots the {_TRAINED} differs from {_NOMP} by {gain}."


def _untrained(found: Found) -> Iterator[str]:
    """How to train what is missing."""
    missing = [length for length, each in found.items() if _TRAINED not in each]
    if missing:
        example = "`risexp train --preset small --set physics.snapshots="
        yield (
            f"No {_TRAINED} stands beside {_NOMP} at {listed(missing)} snapshots: "
            f"{example}{missing[0]}` trains one, and --run with its name shows it here."
        )


def _gain(after: Tensor, before: Tensor) -> str:
    gain = after.double() - before.double()
    mean, spread = float(gain.mean()), float(gain.std(correction=0)) / len(gain) ** 0.5
    sure = abs(mean) > 1.96 * spread
    told = f"{mean:+.3f} +- {1.96 * spread:.3f} in K accuracy"
    return told if sure else f"{told}: nothing these scenes show"
