"""What a store holds of a study's runs, to be compared with what it should hold; nothing changes.

Runs are found by their study's name, and those of another study of that name are left out: two
homes may share one server.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from risexp.runs.labels import EXPERIMENT

if TYPE_CHECKING:
    from risexp.tracking.client import MetricPoint, TrackingClient

_PARENT: Final = "mlflow.parentRunId"
_TOLD: Final = 25
"""Runs that are read between two sentences."""


@dataclass(frozen=True)
class TrialRun:
    """The run of a trial as its store tells it."""

    number: int
    """Of the trial."""
    run_id: str
    """The store's own name of it."""
    status: str
    keys: tuple[str, ...]
    """Of its numbers."""
    points: "tuple[MetricPoint, ...]" = ()
    """Every row, one that is there twice included; none where they were not asked for."""

    @property
    def rows(self) -> Mapping[tuple[str, int], int]:
        """How many rows each (key, step) has."""
        return Counter((each.key, each.step) for each in self.points)


@dataclass(frozen=True)
class StudyRuns:
    """The runs of a study."""

    parents: Mapping[str, str]
    """Status of the study's own run, by its id; there should be one."""
    trials: tuple[TrialRun, ...]


def study_runs(
    runs: "TrackingClient", name: str, uid: str, experiment: str = EXPERIMENT
) -> StudyRuns:
    """The runs of a study, without their numbers.

    Args:
        runs: Of the store, from within `in_environment`.
        name: Of the study.
        uid: What tells it from others of its name.
        experiment: Where it is recorded.
    """
    found = runs.search(experiment, f"tags.`risexp.study` = '{name}'")
    parents = {
        each.run_id: each.status
        for each in found
        if each.tags.get("risexp.kind") == "study" and each.tags.get("risexp.uid") == uid
    }
    trials = [
        TrialRun(int(each.tags["risexp.trial"]), each.run_id, each.status, each.keys)
        for each in found
        if each.tags.get("risexp.trial", "").isdecimal()
        and each.tags.get(_PARENT) in {None, *parents}
    ]
    return StudyRuns(parents, tuple(sorted(trials, key=lambda each: (each.number, each.run_id))))


def study_rows(
    runs: "TrackingClient", name: str, uid: str, tell: Callable[[str], None] = lambda _: None
) -> StudyRuns:
    """The runs of a study with all their numbers; as `study_runs`, which takes less time.

    Args:
        runs: Of the store, from within `in_environment`.
        name: Of the study.
        uid: What tells it from others of its name.
        tell: Told in sentences how far it is, where that takes long: a request a run and key.
    """
    found, trials = study_runs(runs, name, uid), list[TrialRun]()
    for run in found.trials:
        if trials and len(trials) % _TOLD == 0:
            tell(f"{len(trials)} of {len(found.trials)} runs of study {name} are read")
        trials.append(_with_points(runs, run))
    return replace(found, trials=tuple(trials))


def status_of(
    runs: "TrackingClient", run: str, run_id: str, experiment: str = EXPERIMENT
) -> str | None:
    """The status of one run; None where it is not there.

    Args:
        runs: Of the store, from within `in_environment`.
        run: The run's own name.
        run_id: The store's name of it.
        experiment: Where it is recorded.
    """
    found = runs.search(experiment, f"tags.`risexp.run` = '{run}'")
    return next((each.status for each in found if each.run_id == run_id), None)


def _with_points(runs: "TrackingClient", run: TrialRun) -> TrialRun:
    points = (point for key in run.keys for point in runs.history(run.run_id, key))
    return replace(run, points=tuple(points))
