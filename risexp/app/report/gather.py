"""What there is to say of a study, gathered once: of its store, its runs, and fresh scenes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

import optuna
import torch

from risexp.app.benchmark.accuracy.measure import AccuracyTable
from risexp.app.benchmark.methods import NETWORK, network_methods
from risexp.app.benchmark.timing import batch_ms
from risexp.app.compare.compare import answer_scenes
from risexp.app.search.audit import audit_so_far
from risexp.app.search.confirm import confirmed_so_far
from risexp.app.search.search import open_studies
from risexp.app.serving.resolve_model import load_trained
from risexp.app.show.run import RunSeen
from risexp.config.run import RunConfig
from risexp.data.scenes import SceneGenerator
from risexp.errors import RisexpError
from risexp.hpo.search.pruning_callback import pruning_summary
from risexp.hpo.store.store import StudyStore, find_store
from risexp.hpo.studies.audits import Audit
from risexp.hpo.studies.confirmation import Confirmation
from risexp.hpo.studies.facts import spec_from_facts
from risexp.hpo.studies.importance import Importance, importance
from risexp.hpo.studies.start_points import best_first
from risexp.hpo.studies.study import StudyRef, find_study, run_id
from risexp.hpo.studies.table import StudyTable, TrialRow, study_table
from risexp.hpo.trials.invariants import TrialSnapshot
from risexp.hpo.trials.snapshot import study_snapshot
from risexp.model.network import Network
from risexp.runs.folder import is_run
from risexp.space.study_spec import StudySpec

SNR_DB: Final = (-5.0, 0.0, 5.0, 10.0, 15.0, 20.0)
"""At which the best network's fresh scenes are heard."""
_TIMED: Final = 20
"""Trials whose networks are timed, at most."""
_AT_ONCE: Final = 64
"""Scenes that a network is timed with."""


@dataclass(frozen=True)
class Weighed:
    """A complete trial, and what its network costs."""

    trial: int
    k_loc: float
    cost: float


@dataclass(frozen=True)
class ReportData:
    """A study at one moment, with all that its report says."""

    charter: StudySpec
    table: StudyTable
    reports: Mapping[int, Mapping[int, float]]
    """k_loc of every epoch that a trial has reported, by its number."""
    heard: str
    """What the pruner was told and did."""
    audit: Audit
    importance: Importance
    confirmation: Confirmation | None
    runs: Mapping[int, RunSeen]
    """Of the trials whose folders are in this home."""
    parameters: Mapping[int, int]
    """Of the complete trials' networks, by number."""
    made_at: datetime
    ms_per_scene: Mapping[int, float] = field(default_factory=dict)
    """Of the networks of the best complete trials, by number, measured one after another."""
    accuracy: AccuracyTable | None = None
    """Of the best network and NOMP on fresh test scenes; None where none were asked for."""
    remarks: tuple[str, ...] = field(default=())
    """What could not be said, and why."""

    @property
    def best(self) -> TrialRow | None:
        """The best complete trial."""
        return self.table.best

    @property
    def best_run(self) -> RunSeen | None:
        """Its run, where that is in this home."""
        return None if self.best is None else self.runs.get(self.best.number)

    def best_so_far(self) -> list[tuple[int, float]]:
        """The complete trials that were better than all before them: number and k_loc."""
        found: list[tuple[int, float]] = []
        for row in sorted(self.table.trials, key=lambda each: each.number):
            if row.value is not None and (not found or row.value < found[-1][1]):
                found.append((row.number, row.value))
        return found

    def weighed(self) -> list[Weighed]:
        """Complete trials, and their costs: ms a scene where measured, or else parameters."""
        costs: Mapping[int, float] = self.ms_per_scene or self.parameters
        return [
            Weighed(row.number, row.value, costs[row.number])
            for row in self.table.trials
            if row.value is not None and row.number in costs
        ]

    def front(self) -> list[Weighed]:
        """Those that no other one beats in both k_loc and cost, the cheapest first."""
        kept: list[Weighed] = []
        for each in sorted(self.weighed(), key=lambda one: (one.cost, one.k_loc)):
            if not kept or each.k_loc < kept[-1].k_loc:
                kept.append(each)
        return kept

    def as_json(self) -> dict[str, Any]:
        """What the page says, as plain values."""
        best = self.best_run
        return {
            **self.table.as_json(),
            "space": self.charter.space.name,
            "charter_sha": self.charter.sha(),
            "made_at": self.made_at.isoformat(timespec="seconds"),
            "pruner": self.heard,
            "audit": self.audit.as_json(),
            "importance": self.importance.as_json(),
            "confirmation": None if self.confirmation is None else self.confirmation.as_json(),
            "front": [vars(each) for each in self.front()],
            "front_over": "ms_per_scene" if self.ms_per_scene else "parameters",
            "ms_per_scene": {str(number): ms for number, ms in self.ms_per_scene.items()},
            "parameters": {str(number): count for number, count in self.parameters.items()},
            "best_run": None if best is None else best.as_json(),
            "remarks": list(self.remarks),
        }


def report_data(name: str) -> ReportData:
    """A study as it stands now, whether or not it is over.

    Raises:
        RisexpError: There is no such study, or its store does not answer.
    """
    with open_studies(find_store) as store:
        study = find_study(store, name)
        found = _of_store(store, study)
    runs, remarks = _runs(found.table)
    complete = [each for each in found.table.trials if each.value is not None]
    counted = {
        each.number: _parameters(found.charter.resolve(each.values).config) for each in complete
    }
    return replace(found, runs=runs, parameters=counted, remarks=remarks)


def with_answers(
    facts: ReportData, scenes: int, device: torch.device, advance: Callable[[int], None]
) -> ReportData:
    """The same, with what the best network and NOMP answer to fresh test scenes.

    Args:
        facts: Of the study.
        scenes: How many at each SNR.
        device: Where the network is computed.
        advance: Told of progress, in scenes.
    """
    run = facts.best_run
    if run is None:
        why = "no complete trial has its run in this home, so no fresh scenes were answered"
        return replace(facts, remarks=(*facts.remarks, why))
    try:
        found = answer_scenes([run], SNR_DB, scenes, device, advance)
    except RisexpError as error:
        why = f"no fresh scenes were answered: {error}"
        return replace(facts, remarks=(*facts.remarks, why))
    times, untimed = _times(facts, device)
    remarks = (*facts.remarks, *found.damaged, *untimed)
    return replace(facts, accuracy=found.table, ms_per_scene=times, remarks=remarks)


def _times(facts: ReportData, device: torch.device) -> tuple[dict[int, float], list[str]]:
    """Milliseconds a scene of the best networks, here and at this moment, and why some are not."""
    found, remarks = dict[int, float](), list[str]()
    for row in best_first(facts.table.trials)[:_TIMED]:
        if row.number in facts.runs:
            try:
                found[row.number] = _ms_per_scene(facts.runs[row.number], device)
            except RisexpError as error:
                remarks.append(f"the network of trial {row.number} was not timed: {error}")
    return found, remarks


def _ms_per_scene(run: RunSeen, device: torch.device) -> float:
    network = load_trained(str(run.folder.path), device)
    scenes = SceneGenerator(run.config.physics, run.config.data).scenes("test", 0, _AT_ONCE)
    return batch_ms(network_methods(network.predictor)[NETWORK], scenes)


def _of_store(store: StudyStore, study: StudyRef) -> ReportData:
    charter = spec_from_facts(study.name, study.facts)
    handle = optuna.load_study(study_name=study.name, storage=store.storage)
    records: Sequence[TrialSnapshot] = study_snapshot(store, study).trials
    return ReportData(
        charter=charter,
        table=study_table(store, study, charter.space),
        reports={each.number: dict(sorted(each.reports.items())) for each in records},
        heard=pruning_summary(handle),
        audit=audit_so_far(store, study),
        importance=importance(store, study),
        confirmation=confirmed_so_far(store, study),
        runs={},
        parameters={},
        made_at=datetime.now(UTC),
    )


def _runs(table: StudyTable) -> tuple[dict[int, RunSeen], tuple[str, ...]]:
    """The runs of trials, and why some could not be read."""
    found: dict[int, RunSeen] = {}
    remarks, missing = list[str](), 0
    for row in table.trials:
        name = run_id(table.name, row.number)
        if not is_run(name):
            missing += row.state != "waiting"
            continue
        try:
            found[row.number] = RunSeen.of(name)
        except RisexpError as error:
            remarks.append(str(error))
    if missing:
        remarks.append(f"the runs of {missing} trials are not in this home")
    return found, tuple(remarks)


def _parameters(config: RunConfig) -> int:
    """Numbers that a network has learned."""
    with torch.random.fork_rng(devices=[]):
        return sum(each.numel() for each in Network(config).parameters())
