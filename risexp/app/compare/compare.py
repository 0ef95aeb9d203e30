"""Runs side by side: their scores, what differs between them, and which differences are chance."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Any, Final

import torch
from pydantic import JsonValue

from risexp.app.benchmark.accuracy.measure import AccuracyTable, measure_accuracy
from risexp.app.benchmark.evaluate import expect_fitting
from risexp.app.benchmark.methods import NETWORK, Method, method_named, network_methods
from risexp.app.compare.seed_noise import Seeds, seeds_of
from risexp.app.serving.resolve_model import trained
from risexp.app.show.run import RunSeen, expect_judged
from risexp.config.run_diff import differing_fields
from risexp.errors import InvalidInput
from risexp.evaluation import ties
from risexp.evaluation.ties import Difference, SeedSpread
from risexp.tracking.payload import data_digest

NOMP: Final = "nomp"
"""The row that networks stand beside where scenes are answered."""


@dataclass(frozen=True)
class RunAnswers:
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
    remarks: tuple[str, ...] = ()
    """What is to be known of its row, in words."""

    @property
    def verdict(self) -> str:
        """`best`, or what it is beside that: `tie`, `worse`, `better` or `not known`."""
        if not self.apart:
            return "best"
        found = self.apart["k_loc"].verdict
        return {"higher": "worse", "lower": "better"}.get(found, found)

    @property
    def tied(self) -> bool:
        """Whether it is as good as the best for all that is known."""
        return self.verdict in {"best", "tie", "not known"}


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
    seeds: Seeds
    answers: RunAnswers | None = None

    def as_json(self) -> dict[str, Any]:
        """The comparison as plain values."""
        return {
            "best": self.runs[0].seen.name,
            "noise": list(self.noise),
            "level": self.level,
            "seeds": self.seeds.as_json(),
            "runs": [_document(each) for each in self.runs],
            "differences": {path: list(values) for path, values in self.fields.items()},
        }


def seen_runs(names: Sequence[str]) -> list[RunSeen]:
    """Runs that can be compared, by their names.

    Raises:
        InvalidInput: There are fewer than two, one is named twice, unknown or was never judged, or
            two folders have one name.
    """
    found = [RunSeen.of(name) for name in names]
    for one, other in combinations(found, 2):
        if one.folder.path.resolve() == other.folder.path.resolve():
            raise InvalidInput(f"{one.name} is named twice: name two or more runs that differ")
        if one.name == other.name:
            raise InvalidInput(
                f"{one.folder.path} and {other.folder.path} are two runs of one name, by which a "
                "comparison tells them apart: leave one out"
            )
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
) -> RunAnswers:
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
    return RunAnswers(table, runs[0].name, tuple(damaged))


def compare(runs: Sequence[RunSeen], answers: RunAnswers | None = None) -> Comparison:
    """Rank runs by k_loc, and tell which are no worse than the best but for chance.

    Args:
        runs: Two or more that were judged.
        answers: Of their networks to the same scenes; None to compare what was recorded.
    """
    ranked = sorted(runs, key=lambda each: _k_loc(each, answers))
    level = ties.level_of_all(len(runs))
    seeds = seeds_of(runs)
    drawn_for = next((each for each in runs if answers and each.name == answers.law_of), ranked[0])
    compared = tuple(
        Compared(
            each,
            _k_loc(each, answers),
            _apart(each, ranked[0], answers, seeds.used, level),
            _remarks(each, drawn_for),
        )
        for each in ranked
    )
    fields = differing_fields([each.config.canonical() for each in ranked])
    noise = (_of_scenes(ranked, answers), seeds.sentence())
    return Comparison(compared, fields, noise, level, seeds, answers)


def judged_alike(one: RunSeen, other: RunSeen) -> bool:
    """Whether two runs were validated on the very same scenes."""
    return _judges(one) == _judges(other)


def _apart(
    run: RunSeen,
    best: RunSeen,
    answers: RunAnswers | None,
    spread: SeedSpread | None,
    level: float,
) -> dict[str, Difference]:
    if run is best:
        return {}
    if answers is None:
        ours, theirs = expect_judged(run), expect_judged(best)
        found = ties.recorded(ours, theirs, same_scenes=judged_alike(run, best), level=level)
    else:
        rows = answers.table.rows
        found = ties.answered(rows[run.name].scores, rows[best.name].scores, level)
    if spread is not None:
        found["k_loc"] = spread.widened(found["k_loc"], level)
    return found


def _k_loc(run: RunSeen, answers: RunAnswers | None) -> float:
    if answers is None:
        return expect_judged(run).k_loc
    return answers.table.rows[run.name].mean.value.k_loc


def _of_scenes(ranked: Sequence[RunSeen], answers: RunAnswers | None) -> str:
    if answers is not None:
        table = answers.table
        return (
            f"scenes: a paired bootstrap over {table.scenes_per_snr} {table.split} scenes of the "
            f"law of {answers.law_of}, the same for all, each heard at {len(table.levels)} SNRs"
        )
    sizes = sorted({expect_judged(each).scenes for each in ranked})
    said = " or ".join(f"{size:,}" for size in sizes)
    alike = all(judged_alike(one, other) for one, other in pairwise(ranked))
    return (
        f"scenes: what a validation of {said} scenes can vary by, "
        f"{'the same scenes for all' if alike else 'not the same scenes for all'}; of k_loc about "
        "at most, for its scenes were not recorded one by one: --scenes 2000 tells more apart"
    )


def _remarks(run: RunSeen, drawn_for: RunSeen) -> tuple[str, ...]:
    laws = {data_digest(each.config.replace({"data.seed": 0})) for each in (run, drawn_for)}
    other = f"data law unlike that of {drawn_for.name}" if len(laws) > 1 else None
    return tuple(each for each in (run.doubt, other) if each is not None)


def _judges(run: RunSeen) -> tuple[str, int, str]:
    """What decides the scenes that a run is validated on: another device draws other ones."""
    device = str(run.environments[0]["device"]) if run.environments else ""
    return data_digest(run.config), run.config.validation.scenes, device.partition(":")[0]


def _document(each: Compared) -> dict[str, Any]:
    return {
        "run": each.seen.name,
        "state": each.seen.state,
        "best_epoch": each.seen.best_epoch,
        "k_loc": each.k_loc,
        "best": dict(each.seen.best),
        "doubt": each.seen.doubt,
        "remarks": list(each.remarks),
        "parted": {name: apart.as_json() for name, apart in each.apart.items()},
        "tied": each.tied,
    }
