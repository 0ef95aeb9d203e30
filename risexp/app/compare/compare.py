"""Ranks runs side by side: scores, differing fields, and differences that exceed the noise."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Any, Final

import torch
from pydantic import JsonValue

from risexp.app.benchmark.accuracy.measure import AccuracyTable, measure_accuracy
from risexp.app.benchmark.evaluate import expect_fitting
from risexp.app.benchmark.methods import NETWORK, Method, method_named, network_methods
from risexp.app.compare.seed_noise import SeedNoise, seed_noise
from risexp.app.search.studies import open_studies
from risexp.app.serving.resolve_model import load_trained
from risexp.app.show.run import RunSeen, expect_judged
from risexp.config.run import differing_fields
from risexp.errors import InvalidInput
from risexp.evaluation import ties
from risexp.evaluation.ties import Difference, SeedSpread
from risexp.hpo.studies.start import best_first
from risexp.hpo.studies.study import find_study, run_id
from risexp.hpo.studies.table import study_table
from risexp.runs.folder import is_run
from risexp.space.derived import SEED
from risexp.tracking.payload import data_digest

NOMP: Final = "nomp"
"""Row of the classical localiser among the answers."""


@dataclass(frozen=True)
class RunAnswers:
    """Answers of the network of every run to the same fresh scenes."""

    table: AccuracyTable
    law_of: str
    """The run whose law the scenes are drawn under."""
    damaged: tuple[str, ...] = ()
    """Faults of checkpoints, in sentences."""


@dataclass(frozen=True)
class RankedRun:
    """One run beside the best of all."""

    seen: RunSeen
    k_loc: float
    """The score that ranks it: of the fresh scenes, else of its validation."""
    differences: Mapping[str, Difference]
    """Its scores minus those of the best; empty for the best itself."""
    remarks: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """`best`, `tie`, `worse`, `better` or `not known`."""
        if not self.differences:
            return "best"
        verdict = self.differences["k_loc"].verdict
        return {"higher": "worse", "lower": "better"}.get(verdict, verdict)

    @property
    def tied(self) -> bool:
        """True if nothing tells it from the best."""
        return self.verdict in {"best", "tie", "not known"}

    def as_json(self) -> dict[str, Any]:
        """The run as plain values."""
        return {
            "run": self.seen.name,
            "state": self.seen.state,
            "best_epoch": self.seen.best_epoch,
            "k_loc": self.k_loc,
            "best": dict(self.seen.best),
            "doubt": self.seen.doubt,
            "remarks": list(self.remarks),
            "parted": {name: gap.as_json() for name, gap in self.differences.items()},
            "tied": self.tied,
        }


@dataclass(frozen=True)
class Comparison:
    """Ranked runs, the best first."""

    runs: tuple[RankedRun, ...]
    fields: Mapping[str, tuple[JsonValue, ...]]
    """Configuration fields that differ, with a value for each run."""
    noise: tuple[str, ...]
    """The noise that a difference must exceed, in sentences."""
    level: float
    """Level of each interval: all verdicts hold together at 95 %."""
    seeds: SeedNoise
    answers: RunAnswers | None = None

    def as_json(self) -> dict[str, Any]:
        """The comparison as plain values."""
        return {
            "best": self.runs[0].seen.name,
            "noise": list(self.noise),
            "level": self.level,
            "seeds": self.seeds.as_json(),
            "runs": [run.as_json() for run in self.runs],
            "differences": {path: list(values) for path, values in self.fields.items()},
        }


def best_runs(study: str, top: int) -> list[str]:
    """Names of the runs of a study's best complete trials that differ in more than their seed."""
    with open_studies() as store:
        ref = find_study(store, study)
        table = study_table(store, ref)
    points, names = list[object](), list[str]()
    for row in best_first(table.trials):
        point = {path: value for path, value in row.values.items() if path != SEED}
        name = run_id(study, row.number)
        if point not in points and is_run(name):
            points.append(point)
            names.append(name)
    if len(names) < 2:
        raise InvalidInput(
            f"study {study} has {len(names)} complete trials with runs in this home, and it takes "
            "two to compare: search on, or name the home that has them with RISEXP_HOME"
        )
    return names[:top]


def read_runs(names: Sequence[str]) -> list[RunSeen]:
    """Read the runs to compare."""
    runs = [RunSeen.of(name) for name in names]
    for one, other in combinations(runs, 2):
        if one.folder.path.resolve() == other.folder.path.resolve():
            raise InvalidInput(f"{one.name} is named twice: name two or more runs that differ")
        if one.name == other.name:
            raise InvalidInput(
                f"{one.folder.path} and {other.folder.path} are two runs of one name, by which a "
                "comparison tells them apart: leave one out"
            )
    if len(runs) < 2:
        raise InvalidInput(
            "a comparison takes two runs or more: name them, or give --study with a study that "
            "has as many complete trials"
        )
    for run in runs:
        expect_judged(run)
    return runs


def answer_scenes(
    runs: Sequence[RunSeen],
    snr_db: Sequence[float],
    scenes: int,
    device: torch.device,
    advance: Callable[[int], None],
) -> RunAnswers:
    """Let the network of every run, and NOMP, answer the same test scenes."""
    law, damaged, methods = runs[0].config, list[str](), dict[str, Method]()
    for run in runs:
        trained = load_trained(str(run.folder.path), device)
        expect_fitting(trained.config, law)
        methods[run.name] = network_methods(trained.predictor)[NETWORK]
        damaged += trained.damaged
    methods[NOMP] = method_named(NOMP, law)
    table = measure_accuracy(law, methods, snr_db, scenes, "test", advance)
    return RunAnswers(table, runs[0].name, tuple(damaged))


def compare(runs: Sequence[RunSeen], answers: RunAnswers | None = None) -> Comparison:
    """Rank runs by k_loc, and find those that differ from the best by chance only."""
    ranked = sorted(runs, key=lambda run: _k_loc(run, answers))
    level = ties.level_of_all(len(runs))
    seeds = seed_noise(runs)
    law_of = next((run for run in runs if answers and run.name == answers.law_of), ranked[0])
    compared = tuple(
        RankedRun(
            run,
            _k_loc(run, answers),
            _differences(run, ranked[0], answers, seeds.used, level),
            _remarks(run, law_of),
        )
        for run in ranked
    )
    fields = differing_fields([run.config.canonical() for run in ranked])
    noise = (_scene_noise(ranked, answers), seeds.sentence())
    return Comparison(compared, fields, noise, level, seeds, answers)


def same_validation(one: RunSeen, other: RunSeen) -> bool:
    """True if two runs were validated on the very same scenes."""
    return _validation(one) == _validation(other)


def _differences(
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
        gaps = ties.recorded(ours, theirs, same_scenes=same_validation(run, best), level=level)
    else:
        rows = answers.table.rows
        gaps = ties.answered(rows[run.name].scores, rows[best.name].scores, level)
    if spread is not None:
        gaps["k_loc"] = spread.widened(gaps["k_loc"], level)
    return gaps


def _k_loc(run: RunSeen, answers: RunAnswers | None) -> float:
    if answers is None:
        return expect_judged(run).k_loc
    return answers.table.rows[run.name].mean.value.k_loc


def _scene_noise(ranked: Sequence[RunSeen], answers: RunAnswers | None) -> str:
    if answers is not None:
        table = answers.table
        return (
            f"scenes: a paired bootstrap over {table.scenes_per_snr} {table.split} scenes of the "
            f"law of {answers.law_of}, the same for all, each heard at {len(table.levels)} SNRs"
        )
    sizes = sorted({expect_judged(run).scenes for run in ranked})
    numbers = " or ".join(f"{size:,}" for size in sizes)
    alike = all(same_validation(one, other) for one, other in pairwise(ranked))
    return (
        f"scenes: the variation of a validation of {numbers} scenes, "
        f"{'the same for all' if alike else 'not the same for all'}; per-scene scores were not "
        "recorded, so small differences cannot be told apart: use --scenes 2000"
    )


def _remarks(run: RunSeen, law_of: RunSeen) -> tuple[str, ...]:
    laws = {data_digest(seen.config.replace({"data.seed": 0})) for seen in (run, law_of)}
    other = f"data law unlike that of {law_of.name}" if len(laws) > 1 else None
    return tuple(remark for remark in (run.doubt, other) if remark is not None)


def _validation(run: RunSeen) -> tuple[str, int, str]:
    """What decides the scenes of a run's validation: another device draws other ones."""
    device = str(run.environments[0]["device"]) if run.environments else ""
    return data_digest(run.config), run.config.validation.scenes, device.partition(":")[0]
