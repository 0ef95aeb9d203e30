"""Data of a study's report: from its store, its runs, and fresh scenes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

import optuna
import torch

from risexp.app.benchmark.accuracy.measure import AccuracyTable
from risexp.app.benchmark.methods import NETWORK, network_methods
from risexp.app.benchmark.timing import batch_ms
from risexp.app.compare.compare import answer_scenes
from risexp.app.report.trial_runs import RunSummary, read_runs
from risexp.app.search.derived import audit_so_far, confirmed_so_far
from risexp.app.search.studies import open_studies
from risexp.app.serving.resolve_model import load_trained
from risexp.app.show.run import RunSeen
from risexp.config.run import RunConfig
from risexp.data.scenes import SceneGenerator
from risexp.errors import RisexpError
from risexp.hpo.search.pruning_callback import pruning_summary
from risexp.hpo.studies.audit import Audit
from risexp.hpo.studies.confirmation import Confirmation
from risexp.hpo.studies.importance import Importance, importance
from risexp.hpo.studies.start import best_first
from risexp.hpo.studies.study import find_study
from risexp.hpo.studies.table import StudyTable, TrialRow, study_table
from risexp.model.network import Network
from risexp.runs.folder import RunFolder
from risexp.space.study_spec import StudySpec

SNR_DB: Final = (-5.0, 0.0, 5.0, 10.0, 15.0, 20.0)
"""SNRs of the fresh scenes."""
_TIMED: Final = 20
"""Limit on networks that are timed."""
_BATCH: Final = 64
"""Scenes of one timing."""


@dataclass(frozen=True)
class Weighed:
    """A complete trial with its score and the cost of its network."""

    trial: int
    k_loc: float
    cost: float


@dataclass(frozen=True)
class ReportData:
    """A study at one moment, with everything in its report."""

    spec: StudySpec
    table: StudyTable
    reports: Mapping[int, Mapping[int, float]]
    """Reported k_loc by trial number and epoch."""
    pruning: str
    audit: Audit
    importance: Importance
    confirmation: Confirmation | None
    runs: Mapping[int, RunSummary]
    """By trial number, those in this home."""
    best_run: RunSeen | None
    """The best trial's run if it is in this home."""
    parameters: Mapping[int, int]
    """Number of network parameters by number of the complete trial."""
    made_at: datetime
    ms_per_scene: Mapping[int, float] = field(default_factory=dict)
    """Inference time of the best networks by trial number, measured one after another."""
    accuracy: AccuracyTable | None = None
    """Accuracy of the best network and NOMP on fresh test scenes, if there were any."""
    remarks: tuple[str, ...] = ()
    """What is missing, and why."""

    @property
    def best(self) -> TrialRow | None:
        """The best complete trial."""
        return self.table.best

    def best_so_far(self) -> list[tuple[int, float]]:
        """Number and k_loc of the complete trials that were better than all before them."""
        steps: list[tuple[int, float]] = []
        for row in sorted(self.table.trials, key=lambda each: each.number):
            if row.value is not None and (not steps or row.value < steps[-1][1]):
                steps.append((row.number, row.value))
        return steps

    def weighed(self) -> list[Weighed]:
        """Complete trials with their cost: ms a scene if it was measured, else parameters."""
        costs: Mapping[int, float] = self.ms_per_scene or self.parameters
        return [
            Weighed(row.number, row.value, costs[row.number])
            for row in self.table.trials
            if row.value is not None and row.number in costs
        ]

    def front(self) -> list[Weighed]:
        """The Pareto front of k_loc and cost, the cheapest trial first."""
        kept: list[Weighed] = []
        for each in sorted(self.weighed(), key=lambda one: (one.cost, one.k_loc)):
            if not kept or each.k_loc < kept[-1].k_loc:
                kept.append(each)
        return kept

    def as_json(self) -> dict[str, Any]:
        """Plain values for `--json`."""
        best = self.best_run
        return {
            **self.table.as_json(),
            "space": self.spec.space.name,
            "charter_sha": self.spec.sha(),
            "made_at": self.made_at.isoformat(timespec="seconds"),
            "pruner": self.pruning,
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
    """Read a study as it stands now."""
    with open_studies() as store:
        study = find_study(store, name)
        table, spec = study_table(store, study), study.spec
        history = optuna.load_study(study_name=study.name, storage=store.storage)
        runs = read_runs(table)
        return ReportData(
            spec=spec,
            table=table,
            reports={
                trial.number: dict(sorted(trial.intermediate_values.items()))
                for trial in history.get_trials(deepcopy=False)
            },
            pruning=pruning_summary(history),
            audit=audit_so_far(store, study),
            importance=importance(store, study),
            confirmation=confirmed_so_far(store, study),
            runs=runs.summaries,
            best_run=runs.best,
            parameters={
                row.number: _parameters(spec.resolve(row.values).config)
                for row in table.trials
                if row.value is not None
            },
            made_at=datetime.now(UTC),
            remarks=runs.remarks,
        )


def with_answers(
    data: ReportData, scenes: int, device: torch.device, advance: Callable[[int], None]
) -> ReportData:
    """Add what the best network and NOMP answer to `scenes` fresh test scenes at each SNR."""
    run = data.best_run
    if run is None:
        why = "no complete trial has its run in this home, so no fresh scenes were answered"
        return replace(data, remarks=(*data.remarks, why))
    try:
        answers = answer_scenes([run], SNR_DB, scenes, device, advance)
    except RisexpError as error:
        why = f"no fresh scenes were answered: {error}"
        return replace(data, remarks=(*data.remarks, why))
    times, untimed = _times(data, device)
    remarks = (*data.remarks, *answers.damaged, *untimed)
    return replace(data, accuracy=answers.table, ms_per_scene=times, remarks=remarks)


def _times(data: ReportData, device: torch.device) -> tuple[dict[int, float], list[str]]:
    times, remarks = dict[int, float](), list[str]()
    for row in best_first(data.table.trials)[:_TIMED]:
        if row.number in data.runs:
            try:
                times[row.number] = _ms_per_scene(data.runs[row.number].folder, device)
            except RisexpError as error:
                remarks.append(f"the network of trial {row.number} was not timed: {error}")
    return times, remarks


def _ms_per_scene(run: RunFolder, device: torch.device) -> float:
    network, config = load_trained(str(run.path), device), run.config()
    scenes = SceneGenerator(config.physics, config.data).scenes("test", 0, _BATCH)
    return batch_ms(network_methods(network.predictor)[NETWORK], scenes)


def _parameters(config: RunConfig) -> int:
    with torch.random.fork_rng(devices=[]):
        return sum(parameter.numel() for parameter in Network(config).parameters())
