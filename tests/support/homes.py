"""A sound home with a finished search, for tests to break."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run

from risexp.app.doctor.check import Check, Diagnosis
from risexp.app.doctor.examine import examine
from risexp.app.doctor.fix import apply_fixes
from risexp.app.run.sync import sync
from risexp.app.search.study_record import StudyUploader, say_of_study, study_labels
from risexp.hpo.search.parameters import suggest
from risexp.hpo.store.address import embedded as studies_url
from risexp.hpo.store.store import StudyStore, open_store
from risexp.hpo.studies.study import StudyRef, find_study
from risexp.hpo.studies.table import study_table
from risexp.hpo.trials.claim import Claim
from risexp.hpo.trials.trial_result import TrialResult
from risexp.runs.folder import RunFolder, find_run
from risexp.runs.outcome import complete, pruned
from risexp.tracking.stores import embedded
from risexp.training.checkpoint_store import CheckpointOwner as Holder
from risexp.training.checkpoint_store import CheckpointStore
from tests.support.recorded_runs import SCORES
from tests.support.searches import begun
from tests.support.trainers import checkpoints
from tests.support.uploads import K_LOCS, finished, new_run, place, stored, train
from tests.support.worker_processes import owner, queue_of

NAME = "toy"
ENDINGS = (
    (complete("finished", 3), TrialResult("complete", "finished", min(K_LOCS))),
    (pruned("others are better"), TrialResult("pruned", "pruned")),
    (complete("finished", 3), TrialResult("complete", "finished", min(K_LOCS))),
)

FEW = {name: SCORES[name] for name in ("k_loc", "k_acc", "success_rate", "scenes")}
"""Scores of a validation: MLflow is asked for each of them."""
WAITING = {"toy: end": "warn"}
"""The problem of a home with a waiting trial."""


def search_in_order() -> None:
    """Search in the home to the end with its record, and train one more run."""
    place(embedded())
    with open_study(begin=len(ENDINGS)) as (store, study):
        for outcome, result in ENDINGS:
            claim, folder = claimed(store, study)
            trained(claim, folder)
            folder.close(outcome)
            claim.finish(result)
        finished("alone")
        uploaded(store, study)


@contextmanager
def open_study(begin: int = 0) -> Iterator[tuple[StudyStore, StudyRef]]:
    """The home's store and study; `begin` creates the study, or raises its budget to that."""
    store = open_store(studies_url())
    try:
        yield store, begun(store, NAME, begin) if begin else find_study(store, NAME)
    finally:
        store.close()


def claimed(store: StudyStore, study: StudyRef) -> tuple[Claim, RunFolder]:
    """Claim the next trial, and create its folder."""
    claim = queue_of(store, study).claim(owner())
    assert claim is not None
    values = claim.suggest(lambda trial: suggest(study.spec, trial))
    labels = study_labels(study, "smoke", embedded())
    return claim, new_run(claim.run_id, labels=replace(labels, trial=claim.number, searched=values))


def trained(claim: Claim, folder: RunFolder) -> None:
    """Train the trial, report each epoch, and keep its checkpoints."""
    train(folder, scores=FEW)
    *_, attempt = folder.attempts()
    for checkpoint in checkpoints(len(K_LOCS), folder.run_id):
        CheckpointStore(attempt, Holder(folder.run_id, checkpoint.config_sha)).save(checkpoint)
    for step, score in enumerate(K_LOCS, start=1):
        claim.report(step, score)


def uploaded(store: StudyStore, study: StudyRef) -> None:
    """Upload the study's record, as a search does."""
    with StudyUploader(study, embedded()):
        pass
    sync((), None)
    table = study_table(store, study)
    assert say_of_study(embedded(), study, table) is None


def change_studies(statement: str, *values: object) -> None:
    _changed("optuna.db", statement, values)


def change_tracking(statement: str, *values: object) -> None:
    _changed("mlflow.db", statement, values)


def _changed(name: str, statement: str, values: Sequence[object]) -> None:
    with closing(sqlite3.connect(Path("mlruns") / name)) as connection:
        assert connection.execute(statement, values).rowcount
        connection.commit()


def client() -> MlflowClient:
    return MlflowClient(embedded().uri)


def run_of(number: int) -> Run:
    return stored(folder_of(number), embedded())


def mlflow_id(number: int) -> str:
    return str(run_of(number).info.run_id)


def parent_run() -> Run:
    return client().get_run(run_of(0).data.tags["mlflow.parentRunId"])


def duplicate_run(run: Run, status: str) -> None:
    """Create a run in MLflow with the tags of another one."""
    tags = {key: value for key, value in run.data.tags.items() if "Name" not in key}
    made = client().create_run(run.info.experiment_id, tags=tags)
    if status != "RUNNING":
        client().set_terminated(made.info.run_id, status)


def folder_of(number: int) -> RunFolder:
    return find_run(f"{NAME}-{number:03d}")


def diagnose(*studies: str, **more: Any) -> Diagnosis:  # noqa: ANN401 - as `examine` takes them
    """Let the doctor examine the home."""
    return examine(studies, **more)


def problems(diagnosis: Diagnosis) -> dict[str, str]:
    """Verdicts of checks that are not in order, except those of this machine."""
    return {
        check.what: check.verdict
        for check in diagnosis.checks
        if check.verdict != "ok" and check.area != "environment"
    }


def check_of(diagnosis: Diagnosis, what: str) -> Check:
    (only,) = [check for check in diagnosis.checks if check.what == what]
    return only


def repaired() -> tuple[tuple[str, ...], Diagnosis]:
    """Repairs, and the diagnosis after them; a second call has nothing to repair."""
    first = diagnose(fix=True)
    assert [] == [*apply_fixes((), lambda _: None)]
    return first.done, first


def expire_leases() -> None:
    change_studies("UPDATE risexp_attempts SET expires_at = 0 WHERE ended IS NULL")


def die_amid_a_trial() -> None:
    """Leave a trial whose worker has died."""
    with open_study(begin=4) as (store, study):
        claimed(store, study)
    expire_leases()


def change_a_status() -> None:
    client().set_terminated(mlflow_id(1), "FINISHED")


def flip_a_bit(number: int, *, newest: bool = True) -> None:
    """Damage the newest or the oldest checkpoint of a trial."""
    paths = sorted(attempt(number).glob("*.safetensors"))
    path = paths[-1 if newest else 0]
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def remove_an_outcome(number: int) -> None:
    (folder_of(number).path / "outcome.json").unlink()


def attempt(number: int = 0) -> Path:
    (only,) = folder_of(number).attempts()
    return only
