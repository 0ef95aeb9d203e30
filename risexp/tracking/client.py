"""Runs in MLflow, by explicit names and ids: the one file that talks to them.

Everything here may be said twice: what is there already stays as it is, in one copy.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from risexp.errors import EnvironmentFailed
from risexp.tracking.payload import EXPERIMENT_TAGS, Dataset
from risexp.tracking.stores import SETTINGS, TrackingStore

os.environ.update(SETTINGS)

from mlflow import MlflowClient
from mlflow.entities import Dataset as DatasetEntity
from mlflow.entities import (
    DatasetInput,
    Experiment,
    InputTag,
    LifecycleStage,
    Metric,
    Param,
    Run,
    RunTag,
    ViewType,
)
from mlflow.exceptions import MlflowException

_BATCH: Final = 900
"""Metrics of one request; MLflow takes a thousand."""
_PAGE: Final = 200
"""Runs that are read at once."""
_RUNNING: Final = "RUNNING"


@dataclass(frozen=True)
class MetricPoint:
    """One value of a run; its time is the journal's, so that it is one point however often sent."""

    key: str
    value: float
    time: int
    step: int


@dataclass(frozen=True)
class FoundRun:
    """A run as its store tells it."""

    run_id: str
    """The store's own name of it."""
    status: str
    tags: Mapping[str, str]
    keys: tuple[str, ...]
    """Of its numbers."""


class TrackingClient:
    """The runs of one store."""

    def __init__(self, store: TrackingStore) -> None:
        """Talk to a store that is there, its schema made, from within `in_environment`."""
        self._client = MlflowClient(tracking_uri=store.uri, registry_uri=store.uri)
        self._artifacts = store.artifacts

    def answers(self) -> None:
        """Ask for something small; whatever is wrong is raised."""
        self._client.search_experiments(max_results=1)

    def experiment(self, name: str) -> str:
        """The id of an experiment, made and described where there is none.

        Raises:
            EnvironmentFailed: Somebody deleted it.
        """
        found = self._client.get_experiment_by_name(name)
        if found is None:
            return self._created(name)
        if found.lifecycle_stage == LifecycleStage.DELETED:
            raise EnvironmentFailed(
                f"experiment {name!r} was deleted: restore it with `mlflow experiments restore "
                f"--experiment-id {found.experiment_id}`"
            )
        for key, value in EXPERIMENT_TAGS.items():
            if key not in found.tags:
                self._client.set_experiment_tag(found.experiment_id, key, value)
        return str(found.experiment_id)

    def _created(self, name: str) -> str:
        place = None if self._artifacts is None else (self._artifacts / name).as_uri()
        try:
            return self._client.create_experiment(
                name, artifact_location=place, tags=dict(EXPERIMENT_TAGS)
            )
        except MlflowException:
            # Somebody else was faster, or it cannot be made.
            found: Experiment | None = self._client.get_experiment_by_name(name)
            if found is None:
                raise
            return str(found.experiment_id)

    def find(self, experiment_id: str, uid: str) -> str | None:
        """The id of the run of that `risexp.uid`; None where there is none.

        Raises:
            EnvironmentFailed: Somebody deleted it.
        """
        found = self._all_of(experiment_id, uid)
        active = [run for run in found if run.info.lifecycle_stage == LifecycleStage.ACTIVE]
        if active:
            return min(str(run.info.run_id) for run in active)
        if found:
            raise _deleted(found[0])
        return None

    def search(self, experiment: str, question: str) -> list[FoundRun]:
        """The runs of an experiment that are there and of which something holds, however many.

        Args:
            experiment: Its name; where there is none of it, there are no runs.
            question: In MLflow's words, e.g. about tags.
        """
        place = self._client.get_experiment_by_name(experiment)
        if place is None:
            return []
        found, token = list[FoundRun](), ""
        while True:
            page = self._client.search_runs(
                [place.experiment_id], question, max_results=_PAGE, page_token=token or None
            )
            found += [_found(run) for run in page]
            token = page.token
            if not token:
                return found

    def history(self, run_id: str, key: str) -> list[MetricPoint]:
        """All rows of a run under a key, one that is there twice included."""
        rows = self._client.get_metric_history(run_id, key)
        return [MetricPoint(key, each.value, each.timestamp, each.step) for each in rows]

    def file(self, run_id: str, name: str) -> bytes:
        """An artifact of a run.

        Raises:
            EnvironmentFailed: It is not there.
        """
        with TemporaryDirectory() as place:
            try:
                return Path(self._client.download_artifacts(run_id, name, place)).read_bytes()
            except (MlflowException, OSError):
                raise EnvironmentFailed(f"MLflow's run {run_id} has no artifact {name}") from None

    def create(self, experiment_id: str, name: str, tags: Mapping[str, str], began_ms: int) -> str:
        """A new run, found by its tags from its first moment on."""
        run = self._client.create_run(
            experiment_id, start_time=began_ms, tags=dict(tags), run_name=name
        )
        return str(run.info.run_id)

    def settle(self, experiment_id: str, uid: str, run_id: str) -> None:
        """Delete what a request made that was given up and carried out all the same."""
        for run in self._all_of(experiment_id, uid):
            mine = run.info.run_id == run_id
            if not mine and run.info.lifecycle_stage == LifecycleStage.ACTIVE:
                self._client.delete_run(run.info.run_id)

    def _all_of(self, experiment_id: str, uid: str) -> list[Run]:
        question = f"tags.`risexp.uid` = '{uid}'"
        return list(self._client.search_runs([experiment_id], question, run_view_type=ViewType.ALL))

    def add(
        self,
        run_id: str,
        points: Sequence[MetricPoint] = (),
        *,
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Numbers, params and tags of a run."""
        metrics = [Metric(each.key, each.value, each.time, each.step) for each in points]
        for start in range(0, len(metrics), _BATCH):
            self._client.log_batch(run_id, metrics=metrics[start : start + _BATCH])
        if params or tags:
            self._client.log_batch(
                run_id,
                params=[Param(key, value) for key, value in (params or {}).items()],
                tags=[RunTag(key, value) for key, value in (tags or {}).items()],
            )

    def add_files(self, run_id: str, files: Mapping[str, bytes]) -> None:
        """Artifacts of a run, by their paths there."""
        for name, content in files.items():
            folder, _, last = name.rpartition("/")
            with TemporaryDirectory() as place:
                path = Path(place) / last
                path.write_bytes(content)
                self._client.log_artifact(run_id, str(path), folder or None)

    def add_datasets(self, run_id: str, datasets: Sequence[Dataset]) -> None:
        """What a run is trained and judged on."""
        self._client.log_inputs(
            run_id,
            datasets=[
                DatasetInput(
                    DatasetEntity(
                        name=each.name,
                        digest=each.digest,
                        source_type="risexp",
                        source=json.dumps(dict(each.source)),
                        profile=json.dumps(dict(each.profile)),
                    ),
                    [InputTag("mlflow.data.context", each.context)],
                )
                for each in datasets
            ],
        )

    def go_on(self, run_id: str) -> None:
        """The run is running, or will go on."""
        self._client.update_run(run_id, status=_RUNNING)

    def end(self, run_id: str, status: str, time_ms: int) -> None:
        """The run ended at that time."""
        self._client.set_terminated(run_id, status, time_ms)

    def parent(self, experiment_id: str, uid: str, name: str, began_ms: int) -> str:
        """The id of the run that others are children of, made where there is none.

        The caller keeps others from making it at the same time.
        """
        found = self.find(experiment_id, uid)
        if found is not None:
            return found
        tags = {"risexp.run": name, "risexp.uid": uid, "risexp.kind": "study"}
        tags |= {"risexp.study": name, "risexp.state": "running"}
        return self.create(experiment_id, name, tags, began_ms)


def _found(run: Run) -> FoundRun:
    info, data = run.info, run.data
    return FoundRun(info.run_id, info.status, dict(data.tags), tuple(sorted(data.metrics)))


def _deleted(run: Run) -> EnvironmentFailed:
    return EnvironmentFailed(
        f"MLflow's run {run.info.run_id} was deleted there: restore it with `mlflow runs restore "
        f"--run-id {run.info.run_id}` to send more"
    )
