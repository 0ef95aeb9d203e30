"""Client for runs in MLflow, by explicit names and ids; no other file talks to MLflow's runs.

Every call may be repeated: what is in the store already stays as it is, in one copy.
"""

import json
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from risexp.errors import EnvironmentFailed
from risexp.tracking.bulk_history import bulk_history
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
"""Metrics per request; MLflow takes a thousand."""
_PAGE: Final = 200
_RUNS: Final = 50
_POINTS: Final = 25_000
"""Runs and points per request for histories; a server answers no more."""


@dataclass(frozen=True, slots=True)
class MetricPoint:
    """One metric value of a run, with the journal's time, so it stays one point if sent twice."""

    key: str
    value: float
    time: int
    step: int


@dataclass(frozen=True)
class FoundRun:
    """A run in its store."""

    run_id: str
    status: str
    tags: Mapping[str, str]
    keys: tuple[str, ...]


class TrackingClient:
    """The runs of one store, which has its tables; to be used within `in_environment`."""

    def __init__(self, store: TrackingStore) -> None:
        self._client = MlflowClient(tracking_uri=store.uri, registry_uri=store.uri)
        self._artifacts = store.artifacts

    def ping(self) -> None:
        """Send a small request; raises if the store does not answer."""
        self._client.search_experiments(max_results=1)

    def experiment(self, name: str) -> str:
        """The id of an experiment, which is created if it is missing."""
        existing = self._client.get_experiment_by_name(name)
        if existing is None:
            return self._create_experiment(name)
        if existing.lifecycle_stage == LifecycleStage.DELETED:
            raise EnvironmentFailed(
                f"experiment {name!r} was deleted: restore it with `mlflow experiments restore "
                f"--experiment-id {existing.experiment_id}`"
            )
        for key, value in EXPERIMENT_TAGS.items():
            if key not in existing.tags:
                self._client.set_experiment_tag(existing.experiment_id, key, value)
        return str(existing.experiment_id)

    def _create_experiment(self, name: str) -> str:
        location = None if self._artifacts is None else (self._artifacts / name).as_uri()
        try:
            return self._client.create_experiment(
                name, artifact_location=location, tags=dict(EXPERIMENT_TAGS)
            )
        except MlflowException:
            # Another process was faster, or the experiment cannot be created.
            existing: Experiment | None = self._client.get_experiment_by_name(name)
            if existing is None:
                raise
            return str(existing.experiment_id)

    def find(self, experiment_id: str, uid: str) -> str | None:
        """The id of the run with this `risexp.uid`; None if there is none."""
        runs = self._with_uid(experiment_id, uid)
        active = [run for run in runs if run.info.lifecycle_stage == LifecycleStage.ACTIVE]
        if active:
            return min(str(run.info.run_id) for run in active)
        if not runs:
            return None
        run_id = runs[0].info.run_id
        raise EnvironmentFailed(
            f"MLflow's run {run_id} was deleted there: restore it with `mlflow runs restore "
            f"--run-id {run_id}` to send more"
        )

    def search(self, experiment: str, query: str) -> list[FoundRun]:
        """All runs of an experiment that match a query in MLflow's search syntax."""
        existing = self._client.get_experiment_by_name(experiment)
        if existing is None:
            return []
        runs, token = list[FoundRun](), ""
        while True:
            page = self._client.search_runs(
                [existing.experiment_id], query, max_results=_PAGE, page_token=token or None
            )
            for run in page:
                keys, tags = tuple(sorted(run.data.metrics)), dict(run.data.tags)
                runs.append(FoundRun(run.info.run_id, run.info.status, tags, keys))
            token = page.token
            if not token:
                return runs

    def ids(self, experiments: Collection[str]) -> frozenset[str]:
        """The ids of all runs of these experiments, deleted ones included."""
        found, token = set[str](), ""
        while True:
            page = self._client.search_runs(
                [*experiments],
                run_view_type=ViewType.ALL,
                max_results=_PAGE,
                page_token=token or None,
            )
            found |= {str(run.info.run_id) for run in page}
            token = page.token
            if not token:
                return frozenset(found)

    def keys(self, run_id: str) -> list[str]:
        """The metric keys of a run."""
        return sorted(self._client.get_run(run_id).data.metrics)

    def tag(self, run_id: str, name: str) -> str | None:
        """A tag of a run; None if it has none of this name."""
        tags: dict[str, str] = self._client.get_run(run_id).data.tags
        return tags.get(name)

    def history(self, run_id: str, key: str) -> list[MetricPoint]:
        """All points of a metric, including duplicates."""
        rows = self._client.get_metric_history(run_id, key)
        return [MetricPoint(key, row.value, row.timestamp, row.step) for row in rows]

    def histories(self, run_ids: Sequence[str], key: str) -> Iterator[tuple[str, MetricPoint]]:
        """All points of a metric of many runs, with the run of each: few requests."""
        for start in range(0, len(run_ids), _RUNS):
            some = run_ids[start : start + _RUNS]
            found = bulk_history(self._client, some, key, _POINTS)
            if found is None or len(found) == _POINTS:
                # The store knows no such request, or has left points off.
                yield from ((run, point) for run in some for point in self.history(run, key))
            else:
                for run, value, time, step in found:
                    yield run, MetricPoint(key, value, time, step)

    def file(self, run_id: str, name: str) -> bytes:
        """The content of an artifact."""
        with TemporaryDirectory() as folder:
            try:
                return Path(self._client.download_artifacts(run_id, name, folder)).read_bytes()
            except (MlflowException, OSError):
                raise EnvironmentFailed(f"MLflow's run {run_id} has no artifact {name}") from None

    def create(self, experiment_id: str, name: str, tags: Mapping[str, str], began_ms: int) -> str:
        """The id of a new run, which has its tags from the first moment on."""
        run = self._client.create_run(
            experiment_id, start_time=began_ms, tags=dict(tags), run_name=name
        )
        return str(run.info.run_id)

    def delete_duplicates(self, experiment_id: str, uid: str, run_id: str) -> None:
        """Delete other runs of a uid: a request that timed out may have made one after all."""
        for run in self._with_uid(experiment_id, uid):
            mine = run.info.run_id == run_id
            if not mine and run.info.lifecycle_stage == LifecycleStage.ACTIVE:
                self._client.delete_run(run.info.run_id)

    def _with_uid(self, experiment_id: str, uid: str) -> list[Run]:
        query = f"tags.`risexp.uid` = '{uid}'"
        return list(self._client.search_runs([experiment_id], query, run_view_type=ViewType.ALL))

    def add(
        self,
        run_id: str,
        points: Sequence[MetricPoint] = (),
        *,
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Add metrics, params and tags to a run."""
        metrics = [Metric(one.key, one.value, one.time, one.step) for one in points]
        for start in range(0, len(metrics), _BATCH):
            self._client.log_batch(run_id, metrics=metrics[start : start + _BATCH])
        if params or tags:
            self._client.log_batch(
                run_id,
                params=[Param(key, value) for key, value in (params or {}).items()],
                tags=[RunTag(key, value) for key, value in (tags or {}).items()],
            )

    def add_files(self, run_id: str, files: Mapping[str, bytes]) -> None:
        """Add artifacts to a run, by their paths in the artifact folder."""
        for name, content in files.items():
            folder, _, last = name.rpartition("/")
            with TemporaryDirectory() as temporary:
                path = Path(temporary) / last
                path.write_bytes(content)
                self._client.log_artifact(run_id, str(path), folder or None)

    def add_datasets(self, run_id: str, datasets: Sequence[Dataset]) -> None:
        """Add the training and validation data of a run."""
        self._client.log_inputs(
            run_id,
            datasets=[
                DatasetInput(
                    DatasetEntity(
                        name=one.name,
                        digest=one.digest,
                        source_type="risexp",
                        source=json.dumps(dict(one.source)),
                        profile=json.dumps(dict(one.profile)),
                    ),
                    [InputTag("mlflow.data.context", one.context)],
                )
                for one in datasets
            ],
        )

    def set_running(self, run_id: str) -> None:
        """Set the status of a run that is trained, or that can go on.

        It is asked first: a needless request that hangs might be carried out after the run's end.
        """
        if self._client.get_run(run_id).info.status != "RUNNING":
            self._client.update_run(run_id, status="RUNNING")

    def end(self, run_id: str, status: str, time_ms: int) -> None:
        """Set the status of a run that has ended, and when."""
        self._client.set_terminated(run_id, status, time_ms)
