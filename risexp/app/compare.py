"""Runs side by side: their scores, what differs between them, and which differences are chance."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import torch
from pydantic import JsonValue

from risexp.app.accuracy import AccuracyTable, measure_accuracy
from risexp.app.evaluate import expect_fitting
from risexp.app.methods import Method, method_named
from risexp.app.network_methods import NETWORK, network_methods
from risexp.app.show_run import RunSeen, expect_judged
from risexp.app.trained import trained
from risexp.config.run import RunConfig
from risexp.config.run_diff import differing_fields
from risexp.errors import InvalidInput
from risexp.evaluation import ties
from risexp.evaluation.ties import Difference, SeedSpread
from risexp.tracking.folder import list_runs
from risexp.tracking.record import data_digest
from risexp.tracking.spool import Spool

NOMP: Final = "nomp"
"""The row that networks stand beside where scenes are answered."""
_SEED: Final = "training.seed"
_FIDELITY: Final = ("data.seed", "training.epochs", "training.patience")
"""Fields that a confirmation changes besides the seed: they say how well, not what, is trained."""


@dataclass(frozen=True)
class Answers:
    """The same fresh scenes, answered by the network of every run."""

    table: AccuracyTable
    law_of: str
    """The run under whose law the scenes are drawn."""
    damaged: tuple[str, ...] = ()
    """What was wrong with checkpoints, in sentences."""


@dataclass(frozen=True)
class Compared:
    """One run beside the best of all."""

    seen: RunSeen
    k_loc: float
    """That the runs are ranked by: of the fresh scenes, or else of the validation."""
    apart: Mapping[str, Difference]
    """Its scores minus those of the best; none of the best itself."""

    @property
    def tied(self) -> bool:
        """Whether it is as good as the best for all that is known."""
        return not self.apart or self.apart["k_loc"].verdict == "tie"


@dataclass(frozen=True)
class Comparison:
    """Runs, the best first."""

    runs: tuple[Compared, ...]
    fields: Mapping[str, tuple[JsonValue, ...]]
    """Those whose values differ, in the order of the runs."""
    noise: tuple[str, ...]
    """Which noise a difference has to exceed, in sentences."""
    level: float
    """Of each interval, so that all ties together are as sure as one."""
    spread: SeedSpread | None
    answers: Answers | None = None

    def as_json(self) -> dict[str, Any]:
        """The comparison as plain values."""
        return {
            "best": self.runs[0].seen.name,
            "noise": list(self.noise),
            "level": self.level,
            "seeds": None if self.spread is None else vars(self.spread),
            "runs": [_document(each) for each in self.runs],
            "differences": {path: list(values) for path, values in self.fields.items()},
        }


def seen_runs(names: Sequence[str]) -> list[RunSeen]:
    """Runs that can be compared, by their names.

    Raises:
        InvalidInput: There are fewer than two, one is named twice, unknown or was never judged.
    """
    found = [RunSeen.of(name) for name in names]
    told = [each.name for each in found]
    for name in told:
        if told.count(name) > 1:
            raise InvalidInput(f"{name} is named twice: name two or more runs that differ")
    if len(found) < 2:
        raise InvalidInput(
            "a comparison takes two runs or more: name them, or give --study with a study that "
            "has as many complete trials"
        )
    for each in found:
        expect_judged(each)
    return found


def answer(
    runs: Sequence[RunSeen],
    snr_db: Sequence[float],
    scenes: int,
    device: torch.device,
    advance: Callable[[int], None],
) -> Answers:
    """Let the network of every run, and NOMP, answer the same test scenes.

    Args:
        runs: The first one's law is that of the scenes.
        snr_db: At which they are heard, ascending.
        scenes: How many at each.
        device: Where the networks are computed.
        advance: Told of progress, in scenes.

    Raises:
        RisexpError: A run kept no checkpoint, or its network cannot look at these scenes.
    """
    first, damaged, methods = runs[0].config, list[str](), dict[str, Method]()
    for each in runs:
        found = trained(str(each.folder.path), device)
        expect_fitting(found.config, first)
        methods[each.name] = network_methods(found.predictor)[NETWORK]
        damaged += found.damaged
    methods[NOMP] = method_named(NOMP, first)
    table = measure_accuracy(first, methods, snr_db, scenes, "test", advance)
    return Answers(table, runs[0].name, tuple(damaged))


def compare(runs: Sequence[RunSeen], answers: Answers | None = None) -> Comparison:
    """Rank runs by k_loc, and tell which are no worse than the best but for chance.

    Args:
        runs: Two or more that were judged.
        answers: Of their networks to the same scenes; None to compare what was recorded.
    """
    ranked = sorted(runs, key=lambda each: _k_loc(each, answers))
    level = ties.level_of_all(len(runs))
    spread = seed_spread(runs)
    compared = tuple(
        Compared(each, _k_loc(each, answers), _apart(each, ranked[0], answers, spread, level))
        for each in ranked
    )
    fields = differing_fields([each.config.canonical() for each in ranked])
    noise = (_of_scenes(ranked, answers), _of_seeds(spread))
    return Comparison(compared, fields, noise, level, spread, answers)


def seed_spread(runs: Sequence[RunSeen]) -> SeedSpread | None:
    """How k_loc varies with the seed in these runs and in runs of this home that are kin to them.

    Kin have the same configuration but for the seeds, and for how long they were trained: those
    of `risexp confirm`. Only runs that differ in the seed of training alone are set side by side.
    """
    kin = {_without(each.config, (_SEED, *_FIDELITY)) for each in runs}
    known = {each.name: each for each in runs}
    groups: dict[tuple[object, ...], dict[int, float]] = {}
    for folder in list_runs():
        config = Spool(folder.path).config()
        if _without(config, (_SEED, *_FIDELITY)) not in kin:
            continue
        seen = known.get(folder.run_id) or RunSeen.of(str(folder.path))
        if seen.outcome is not None and seen.outcome.status == "complete" and seen.best:
            # A run that was made twice is one: what differs between the two is no seed.
            group = groups.setdefault(_without(config, (_SEED,)), {})
            group.setdefault(config.training.seed, seen.best["k_loc"])
    return SeedSpread.of([list(each.values()) for each in groups.values()])


def same_scenes(one: RunSeen, other: RunSeen) -> bool:
    """Whether two runs were validated on the very same scenes."""
    return _judges(one) == _judges(other)


def _apart(
    run: RunSeen,
    best: RunSeen,
    answers: Answers | None,
    spread: SeedSpread | None,
    level: float,
) -> dict[str, Difference]:
    if run is best:
        return {}
    if answers is None:
        ours, theirs = expect_judged(run), expect_judged(best)
        found = ties.recorded(ours, theirs, same_scenes=same_scenes(run, best), level=level)
    else:
        rows = answers.table.rows
        found = ties.answered(rows[run.name].scores, rows[best.name].scores, level)
    if spread is not None:
        found["k_loc"] = spread.widened(found["k_loc"], level)
    return found


def _k_loc(run: RunSeen, answers: Answers | None) -> float:
    if answers is None:
        return expect_judged(run).k_loc
    return answers.table.rows[run.name].mean.value.k_loc


def _of_scenes(ranked: Sequence[RunSeen], answers: Answers | None) -> str:
    if answers is not None:
        table = answers.table
        return (
            f"scenes: a paired bootstrap over {table.scenes_per_snr} {table.split} scenes of the "
            f"law of {answers.law_of}, the same for all, each heard at {len(table.levels)} SNRs"
        )
    sizes = sorted({expect_judged(each).scenes for each in ranked})
    said = " or ".join(f"{size:,}" for size in sizes)
    alike = all(same_scenes(one, other) for one, other in pairwise(ranked))
    return (
        f"scenes: what a validation of {said} scenes can vary by, "
        f"{'the same scenes for all' if alike else 'not the same scenes for all'}; of k_loc at "
        "most, for its scenes were not recorded one by one: --scenes 2000 tells more apart"
    )


def _of_seeds(spread: SeedSpread | None) -> str:
    if spread is None:
        return (
            "seeds: not known, as no run here has the configuration of another one and another "
            "training.seed: what is told apart are these networks, not their configurations; "
            "risexp confirm trains both"
        )
    return (
        f"seeds: k_loc of {spread.runs} runs that differ from another in training.seed alone has "
        f"a deviation of {spread.deviation:.3f}, of {spread.freedom} degrees of freedom"
    )


def _judges(run: RunSeen) -> tuple[str, int, str]:
    """What decides the scenes that a run is validated on: another device draws other ones."""
    device = str(run.environments[0]["device"]) if run.environments else ""
    return data_digest(run.config), run.config.validation.scenes, device.partition(":")[0]


def _without(config: RunConfig, paths: Sequence[str]) -> tuple[object, ...]:
    """What a configuration says but for some fields."""
    values = config.canonical().flat().items()
    return tuple(str(value) for path, value in values if path not in paths)


def _document(each: Compared) -> dict[str, Any]:
    return {
        "run": each.seen.name,
        "state": each.seen.state,
        "best_epoch": each.seen.best_epoch,
        "k_loc": each.k_loc,
        "best": dict(each.seen.best),
        "doubt": each.seen.doubt,
        "parted": {name: apart.as_json() for name, apart in each.apart.items()},
        "tied": each.tied,
    }
