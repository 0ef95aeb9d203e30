"""The run of a study in MLflow, the parent of its trials' runs: written once, and read back.

Runs are found by their study's name, then told from those of another study of that name by its
uid: two homes may share one server.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from risexp.core.locks import file_lock
from risexp.runs.spec import EXPERIMENT, Parent
from risexp.tracking.schema import opened
from risexp.tracking.stores import Failure, TrackingStore, attempt, in_environment

if TYPE_CHECKING:
    from risexp.tracking.client import MetricPoint, TrackingClient

_LOCK_WAIT_S: Final = 60.0
_PARENT_TAG: Final = "mlflow.parentRunId"
_REPORT_EVERY: Final = 50_000
"""Values that are read between two progress messages."""

ParentStatus = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]


@dataclass(frozen=True)
class StudyRunUpdate:
    """New state of the run of a study; applying it twice changes nothing."""

    status: ParentStatus = "RUNNING"
    time_ms: int = 0
    """When the study ended, if it has."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """By their full names; a later value replaces an earlier one."""
    params: Mapping[str, str] = field(default_factory=dict)
    """Values that never change: MLflow refuses another one."""
    files: Mapping[str, bytes] = field(default_factory=dict)


def update_study_run(
    store: TrackingStore, runs_folder: Path, parent: Parent, update: StudyRunUpdate
) -> str | Failure:
    """Open the store and apply an update: MLflow's id of the run, or a failure to be retried."""

    def write() -> str:
        runs = opened(store)
        return write_study_run(runs, runs_folder, parent, update, runs.experiment(EXPERIMENT))

    with in_environment(store):
        return attempt(write)


def write_study_run(
    runs: "TrackingClient",
    runs_folder: Path,
    parent: Parent,
    update: StudyRunUpdate,
    experiment_id: str,
) -> str:
    """Apply an update to the run of a study, which is created if it is missing."""
    run_id = study_run_id(runs, runs_folder, experiment_id, parent)
    runs.add(run_id, params=update.params, tags=update.tags)
    runs.add_files(run_id, update.files)
    if update.status == "RUNNING":
        runs.set_running(run_id)
    else:
        runs.end(run_id, update.status, update.time_ms)
    return run_id


def study_run_id(
    runs: "TrackingClient", runs_folder: Path, experiment_id: str, parent: Parent
) -> str:
    """MLflow's id of the run of a study, which is created if it is missing.

    A lock in the folder of all runs keeps two processes of a home from creating it twice.
    """
    digest = hashlib.sha256(parent.uid.encode()).hexdigest()[:16]
    busy = f"another process makes the record of study {parent.name}"
    with file_lock(runs_folder / f".parent-{digest}.lock", busy, _LOCK_WAIT_S):
        existing = runs.find(experiment_id, parent.uid)
        if existing is not None:
            return existing
        tags = {"risexp.run": parent.name, "risexp.uid": parent.uid, "risexp.kind": "study"}
        tags |= {"risexp.study": parent.name, "risexp.state": "running"}
        return runs.create(experiment_id, parent.name, tags, parent.began_ms)


@dataclass(frozen=True)
class TrialRun:
    """The run of a trial in its store."""

    number: int
    run_id: str
    status: str
    keys: tuple[str, ...]
    points: "tuple[MetricPoint, ...]" = ()
    """All points, including duplicates; empty if they were not read."""

    @property
    def rows(self) -> Mapping[tuple[str, int], int]:
        """Number of points for each (key, step)."""
        return Counter((point.key, point.step) for point in self.points)


@dataclass(frozen=True)
class StudyRuns:
    """The runs of a study in a store."""

    parents: Mapping[str, str]
    """Status of the study's own run by MLflow's id; there should be one."""
    trials: tuple[TrialRun, ...]


def study_runs(runs: "TrackingClient", name: str, uid: str) -> StudyRuns:
    """The runs of a study, without their points; `uid` tells it from others of its name."""
    found = runs.search(EXPERIMENT, f"tags.`risexp.study` = '{name}'")
    parents = {
        run.run_id: run.status
        for run in found
        if run.tags.get("risexp.kind") == "study" and run.tags.get("risexp.uid") == uid
    }
    trials = [
        TrialRun(int(run.tags["risexp.trial"]), run.run_id, run.status, run.keys)
        for run in found
        if run.tags.get("risexp.trial", "").isdecimal()
        and run.tags.get(_PARENT_TAG) in {None, *parents}
    ]
    return StudyRuns(parents, tuple(sorted(trials, key=lambda run: (run.number, run.run_id))))


def study_rows(
    runs: "TrackingClient", name: str, uid: str, tell: Callable[[str], None] = lambda _: None
) -> StudyRuns:
    """The runs of a study with all their points: one request per key, so it takes time.

    `tell` receives progress messages; the other arguments are those of `study_runs`.
    """
    study, total = study_runs(runs, name, uid), 0
    points: dict[str, list[MetricPoint]] = {run.run_id: [] for run in study.trials}
    for key in sorted({key for run in study.trials for key in run.keys}):
        with_key = [run.run_id for run in study.trials if key in run.keys]
        for run_id, point in runs.histories(with_key, key):
            points[run_id].append(point)
            total += 1
            if total % _REPORT_EVERY == 0:
                tell(f"{total} values of study {name} are read")
    trials = (replace(run, points=tuple(points[run.run_id])) for run in study.trials)
    return replace(study, trials=tuple(trials))


def status_of(runs: "TrackingClient", run: str, run_id: str) -> str | None:
    """Status of the run with this name and this MLflow id; None if it is not in the store."""
    found = runs.search(EXPERIMENT, f"tags.`risexp.run` = '{run}'")
    return next((each.status for each in found if each.run_id == run_id), None)
