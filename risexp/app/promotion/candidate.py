"""The run that somebody wants to be promoted: its weights, its record, and where both come from."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from risexp.app.run.sync import sync
from risexp.app.search.studies import the_store
from risexp.app.serving.resolve_model import bundle_named
from risexp.app.show.run import RunSeen
from risexp.errors import EnvironmentFailed, InvalidInput
from risexp.hpo.studies.facts import spec_from_facts
from risexp.hpo.studies.study import find_study, run_id
from risexp.hpo.studies.table import study_table
from risexp.registry.bundle import Bundle
from risexp.registry.card import Origin
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
    """Of the charter of its study, where it was named by it."""
    said: tuple[str, ...] = ()
    """What a person should know of it, in sentences."""

    @property
    def run(self) -> str:
        """Its name."""
        return self.seen.name

    @property
    def state(self) -> str:
        """How its run ended, in a word; or that nothing says so."""
        outcome = self.seen.outcome
        return self.seen.state if outcome is None else outcome.status

    @cached_property
    def origin(self) -> Origin:
        """Where it comes from."""
        bundle, labels = self.bundle, UploadState(self.seen.folder.path).labels()
        source = self.seen.sources[-1] if self.seen.sources else None
        return Origin(
            run=self.run,
            epoch=bundle.epoch,
            study=labels.study,
            trial=labels.trial,
            config_sha=bundle.config_sha,
            data_digest=data_digest(bundle.config),
            commit=None if source is None else source.commit,
            dirty=source is not None and source.dirty,
            temperature=bundle.temperature,
            parameters=bundle.parameters,
        )

    def tags(self) -> Mapping[str, str]:
        """What a version says of it."""
        origin = self.origin
        known = {
            "run": origin.run,
            "epoch": origin.epoch,
            "study": origin.study,
            "trial": origin.trial,
            "config_sha": origin.config_sha,
            "space_sha": self.space_sha,
            "data_digest": origin.data_digest,
            "git_commit": origin.commit,
            "temperature": origin.temperature,
        }
        return {f"risexp.{key}": str(value) for key, value in known.items() if value is not None}

    def expect_store(self, store: TrackingStore) -> None:
        """Check that its record is in the store whose registry is asked.

        Raises:
            InvalidInput: It is recorded nowhere, or elsewhere.
        """
        folder = self.seen.folder.path
        own = store_for(folder, None)
        if own is None:
            raise InvalidInput(
                f"run {self.run} is recorded nowhere, and a model is filed under its run: `risexp "
                f"sync {self.run} --tracking {store.name}` records it"
            )
        if own.name != store.name:
            raise InvalidInput(
                f"run {self.run} is recorded in {own.name}, and the registry asked is that of "
                f"{store.name}: name the run's own with --tracking"
            )

    def recorded(self, tracking: str | None) -> str:
        """MLflow's own id of the run, once all of its record is there.

        Raises:
            EnvironmentFailed: It cannot be sent now.
        """
        (found,) = sync([str(self.seen.folder.path)], tracking)
        if found.state != "sent" or not found.mlflow_run:
            why = found.sentence or "it has no record"
            raise EnvironmentFailed(
                f"the record of run {self.run} cannot be sent, so nothing was promoted: {why}"
            )
        return found.mlflow_run


def candidate_of(study: str | None, run: str | None) -> Candidate:
    """The run of a study's best complete trial, or the one that is named.

    Raises:
        InvalidInput: Not one of the two is named, there is no such study or run, or no trial of the
            study is complete.
        RisexpError: No sound checkpoint of it was kept.
    """
    if (study is None) == (run is None):
        raise InvalidInput("name what to promote: --study for its best trial, or --run")
    name, sha, said = (run or "", None, ()) if study is None else _best_of(study)
    seen = RunSeen.of(name)
    found = bundle_named(str(seen.folder.path))
    if found.bundle.run_id != seen.name:
        raise InvalidInput(
            f"the checkpoints in {seen.folder.path} are those of run {found.bundle.run_id}: put "
            f"those of {seen.name} back"
        )
    told = seen.by_epoch.get(found.bundle.epoch, {})
    if not any(key.startswith("guard/") for key in told):
        raise InvalidInput(
            f"the journal of run {seen.name} does not say what its guards found in epoch "
            f"{found.bundle.epoch}, its best: nobody knows whether it is sound"
        )
    return Candidate(seen, found.bundle, sha, (*said, *found.damaged))


def _best_of(name: str) -> tuple[str, str, tuple[str, ...]]:
    """The run of the best trial, the hash of the study's charter, and what is to be said."""
    with the_store() as store:
        study = find_study(store, name)
        charter = spec_from_facts(study.name, study.facts)
        table = study_table(store, study, charter.space)
    if table.best is None:
        raise InvalidInput(
            f"study {name} has no complete trial to promote: search until it has one, or name a run"
        )
    best = run_id(study.name, table.best.number)
    said = [f"trial {table.best.number} of study {name}, k_loc {table.best.value:.3f}: run {best}"]
    if not table.over:
        left = table.count("waiting") + table.count("running")
        said.append(f"study {name} is not over: {left} of its trials are not considered")
    return best, charter.sha(), tuple(said)
