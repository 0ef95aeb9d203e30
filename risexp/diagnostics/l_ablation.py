"""The l-ablation probe: what more snapshots gain in K accuracy, and what they cost."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from time import perf_counter
from typing import Final, Self

from torch import Tensor

from risexp.config.run import RunConfig
from risexp.data.frames import Scenes
from risexp.diagnostics.k_head import counts, train_on_fresh
from risexp.diagnostics.probe_data import drawn
from risexp.diagnostics.probe_trainer import ProbeTrainer
from risexp.diagnostics.report import Cell, Rate, Report, Row, Table
from risexp.estimation.receiver_model import ReceiverModel
from risexp.inference.nomp import Nomp

LENGTHS: Final = (16, 32, 64)
"""Snapshots of a scene (L)."""
_NOMP: Final = "NOMP"
_TRAINED: Final = "trained network"
_WARM: Final = 8
"""Scenes counted before the timing, as the first ones build tables."""

Counter = Callable[[Scenes], Tensor]
"""From scenes to their counts, (B,) int64, by the frames alone."""


@dataclass(frozen=True)
class TrainedCounter:
    """A network that was trained for one number of snapshots."""

    run: str
    count: Counter


@dataclass(frozen=True)
class CountScore:
    """The hits and the time of one counter on one set of scenes."""

    hits: Tensor
    """(B,) bool: K^ = K."""
    scene_ms: float

    @classmethod
    def of(cls, count: Counter, scenes: Scenes) -> Self:
        """Count scenes and measure the time."""
        count(scenes[:_WARM])
        start = perf_counter()
        hits = count(scenes) == scenes.truth.count
        return cls(hits, 1e3 * (perf_counter() - start) / len(scenes))


Scores = Mapping[int, Mapping[str, CountScore]]
"""By length and by the name of the counter."""


def probe_l_ablation(
    config: RunConfig,
    scenes: int,
    train_scenes: int = 0,
    trained: Mapping[int, TrainedCounter] | None = None,
    lengths: Sequence[int] = LENGTHS,
    trainer: ProbeTrainer | None = None,
) -> Report:
    """Count the same sources through the same channel with more and more snapshots.

    A fresh network sees `train_scenes` once before it counts, if any; `trained` ones are known by
    their number of snapshots.
    """
    trained = trained or {}
    scores: dict[int, dict[str, CountScore]] = {}
    equations: dict[int, int] = {}
    for length in lengths:
        longer = config.replace({"physics.snapshots": length})
        judged = drawn(longer, scenes)
        counters = {_NOMP: _nomp(longer)}
        if train_scenes:
            fresh = _network(longer, train_scenes, trainer or ProbeTrainer())
            counters[f"network after {train_scenes} scenes"] = fresh
        if length in trained:
            counters[_TRAINED] = trained[length].count
        scores[length] = {name: CountScore.of(count, judged) for name, count in counters.items()}
        equations[length] = longer.physics.equations
    table = _table(scores, equations, {length: counter.run for length, counter in trained.items()})
    advice = (*_gains(scores), *_beside_nomp(scores), *_untrained(scores))
    return Report("l-ablation", "info", (table,), advice)


def listed(lengths: Sequence[int]) -> str:
    """Lengths as a list in a sentence."""
    *first, last = map(str, lengths)
    return f"{', '.join(first)} and {last}" if first else last


def _nomp(config: RunConfig) -> Counter:
    localise = Nomp(ReceiverModel.of(config))
    return lambda scenes: localise(scenes.frames).count


def _network(config: RunConfig, scenes: int, trainer: ProbeTrainer) -> Counter:
    network, objective = train_on_fresh(config, scenes, trainer), trainer.objective_of(config)
    beta = config.beta.final
    return lambda judged: counts(network, objective, judged.to(trainer.device), beta).answers.cpu()


def _table(scores: Scores, equations: Mapping[int, int], runs: Mapping[int, str]) -> Table:
    names = _names(scores)
    heads = (head for name in names for head in (name, f"{name.split(' after ')[0]} ms a scene"))
    rows: list[Row] = [
        (
            length,
            equations[length],
            *_cells(measured, names),
            *((runs.get(length),) if runs else ()),
        )
        for length, measured in scores.items()
    ]
    headings = ("L", "equations", *heads, *(("run",) if runs else ()))
    return Table("K accuracy with 95 % intervals, and its cost", headings, tuple(rows))


def _cells(measured: Mapping[str, CountScore], names: Sequence[str]) -> Iterator[Cell]:
    for name in names:
        score = measured.get(name)
        yield from (None, None) if score is None else (Rate.of(score.hits), score.scene_ms)


def _names(scores: Scores) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for measured in scores.values() for name in measured))


def _gains(scores: Scores) -> Iterator[str]:
    """What every counter gains from one length to the next, scene by scene."""
    for name in _names(scores):
        known = {length: row[name].hits for length, row in scores.items() if name in row}
        for fewer, more in pairwise(known):
            gain = _gain(known[more], known[fewer])
            counter = name if name == _NOMP else f"the {name}"
            yield f"From {fewer} to {more} snapshots {counter} gains {gain}."


def _beside_nomp(scores: Scores) -> Iterator[str]:
    """K accuracy of a trained network compared with NOMP, scene by scene."""
    for length, row in scores.items():
        if _TRAINED in row:
            gain = _gain(row[_TRAINED].hits, row[_NOMP].hits)
            yield f"At {length} snapshots the {_TRAINED} differs from {_NOMP} by {gain}."


def _untrained(scores: Scores) -> Iterator[str]:
    """How to train a network for the missing lengths."""
    missing = [length for length, row in scores.items() if _TRAINED not in row]
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
    words = f"{mean:+.3f} +- {1.96 * spread:.3f} in K accuracy"
    return words if sure else f"{words}: nothing these scenes show"
