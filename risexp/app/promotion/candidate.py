"""The run to promote: its best weights, how it ended, and where it comes from."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from risexp.app.run.sync import sync
from risexp.app.search.studies import open_studies
from risexp.app.serving.resolve_model import resolve_bundle
from risexp.app.show.run import RunSeen
from risexp.errors import EnvironmentFailed, InvalidInput
from risexp.hpo.studies.study import find_study, run_id
from risexp.hpo.studies.table import study_table
from risexp.registry.sealed_model import Bundle
from risexp.runs.source import Source
from risexp.runs.spec import Labels
from risexp.tracking.payload import data_digest
from risexp.tracking.stores import TrackingStore
from risexp.tracking.upload_state import UploadState
from risexp.tracking.uploader_process import store_for


@dataclass(frozen=True)
class Candidate:
    """A run, and the bundle of its best epoch."""

    seen: RunSeen
    bundle: Bundle
    space_sha: str | None
    """Hash of its study's spec, if the study was named."""
    notes: tuple[str, ...] = ()
    """Remarks for the user, in sentences."""

    @property
    def run(self) -> str:
        """The run's name."""
        return self.seen.name

    @property
    def state(self) -> str:
        """How its run ended, or that its folder does not say it."""
        outcome = self.seen.outcome
        return self.seen.state if outcome is None else outcome.status

    @cached_property
    def labels(self) -> Labels:
        """Study and trial of the run."""
        return UploadState(self.seen.folder.path).labels()

    @property
    def source(self) -> Source | None:
        """The code that trained it."""
        return self.seen.sources[-1] if self.seen.sources else None

    @property
    def data_digest(self) -> str:
        """Digest of the law and seed of its scenes."""
        return data_digest(self.bundle.config)

    def tags(self) -> Mapping[str, str]:
        """The tags of a version that say where it comes from."""
        values = {
            "run": self.run,
            "epoch": self.bundle.epoch,
            "study": self.labels.study,
            "trial": self.labels.trial,
            "config_sha": self.bundle.config_sha,
            "space_sha": self.space_sha,
            "data_digest": self.data_digest,
            "git_commit": None if self.source is None else self.source.commit,
            "temperature": self.bundle.temperature,
        }
        return {f"risexp.{key}": str(value) for key, value in values.items() if value is not None}

    def expect_store(self, store: TrackingStore) -> None:
        """Check that the run is recorded in the store of the registry."""
        own = store_for(self.seen.folder.path, None)
        if own is None:
            raise InvalidInput(
                f"run {self.run} is recorded nowhere, and a model is filed under its run: `risexp "
                f"sync {self.run} --tracking {store.name}` records it"
            )
        if own.name != store.name:
            raise InvalidInput(
                f"run {self.run} is recorded in {own.name}, and the registry is that of "
                f"{store.name}: name the run's own with --tracking"
            )

    def upload_record(self, tracking: str | None) -> str:
        """Upload what is missing of the run's record; returns MLflow's id of the run."""
        (synced,) = sync([str(self.seen.folder.path)], tracking)
        if synced.state != "sent" or not synced.mlflow_run:
            why = synced.sentence or "it has no record"
            raise EnvironmentFailed(
                f"the record of run {self.run} cannot be sent, so nothing was promoted: {why}"
            )
        return synced.mlflow_run


def find_candidate(study: str | None, run: str | None) -> Candidate:
    """Find the run of a study's best complete trial, or the named run."""
    if (study is None) == (run is None):
        raise InvalidInput("name a run to promote: --study for its best trial, or --run")
    name, sha, notes = (run or "", None, ()) if study is None else _best_trial(study)
    seen = RunSeen.of(name)
    resolved = resolve_bundle(str(seen.folder.path))
    bundle = resolved.bundle
    if bundle.run_id != seen.name:
        raise InvalidInput(
            f"the checkpoints in {seen.folder.path} are those of run {bundle.run_id}: put those of "
            f"{seen.name} back"
        )
    if not any(key.startswith("guard/") for key in seen.by_epoch.get(bundle.epoch, {})):
        raise InvalidInput(
            f"the journal of run {seen.name} has no guard values for epoch {bundle.epoch}, its "
            "best, so that its faults are not known: promote another run"
        )
    return Candidate(seen, bundle, sha, (*notes, *resolved.damaged))


def _best_trial(name: str) -> tuple[str, str, tuple[str, ...]]:
    """The run of a study's best trial, the hash of the study's spec, and remarks."""
    with open_studies() as store:
        study = find_study(store, name)
        table = study_table(store, study)
    if table.best is None:
        raise InvalidInput(
            f"study {name} has no complete trial to promote: search until it has one, or name a run"
        )
    best = run_id(study.name, table.best.number)
    notes = [f"trial {table.best.number} of study {name}, k_loc {table.best.value:.3f}: run {best}"]
    if not table.over:
        left = table.count("waiting") + table.count("running")
        notes.append(f"study {name} is not over: {left} of its trials are not considered")
    return best, study.spec.sha(), tuple(notes)
