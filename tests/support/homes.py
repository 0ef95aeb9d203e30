"""A home in which everything is in order, for a check-up to find what a test has broken in it."""

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
from risexp.app.run.sync import sync
from risexp.app.search.study_record import StudyUploader, say_of_study, study_labels
from risexp.hpo.search.parameters import suggest
from risexp.hpo.store.address import embedded as studies_url
from risexp.hpo.store.store import StudyStore, open_store
from risexp.hpo.studies.facts import spec_from_facts
from risexp.hpo.studies.study import StudyRef, find_study
from risexp.hpo.studies.table import study_table
from risexp.hpo.trials.claim import Claim
from risexp.hpo.trials.trial_result import TrialResult
from risexp.runs.folder import RunFolder, find_run
from risexp.runs.outcome import complete, pruned
from risexp.tracking.stores import embedded
from risexp.training.checkpoint_store import CheckpointOwner as Holder
from risexp.training.checkpoint_store import CheckpointStore
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

WAITS = {"toy: end": "warn"}
"""What is wrong where a trial waits."""


def search_in_order() -> None:
    """Search in the home, to the end and with its record; and train one run beside."""
    place(embedded())
    with the_study(begin=len(ENDINGS)) as (store, study):
        for outcome, ending in ENDINGS:
            claim, folder = taken(store, study)
            trained(claim, folder)
            folder.close(outcome)
            claim.finish(ending)
        finished("alone")
        sent(store, study)


@contextmanager
def the_study(begin: int = 0) -> Iterator[tuple[StudyStore, StudyRef]]:
    """The store of the home, and its study; begun, or with more trials, where that is asked for."""
    store = open_store(studies_url())
    try:
        yield store, begun(store, NAME, begin) if begin else find_study(store, NAME)
    finally:
        store.close()


def taken(store: StudyStore, study: StudyRef) -> tuple[Claim, RunFolder]:
    """The next trial in a worker's hands, and its folder."""
    claim = queue_of(store, study).claim(owner())
    assert claim is not None
    charter = spec_from_facts(study.name, study.facts)
    values = claim.suggest(lambda trial: suggest(charter, trial))
    labels = study_labels(study, "smoke", embedded())
    told = replace(labels, trial=claim.number, searched=values)
    return claim, new_run(claim.run_id, labels=told)


def trained(claim: Claim, folder: RunFolder) -> None:
    """Train it, report each epoch, and keep its checkpoints."""
    train(folder)
    *_, attempt = folder.attempts()
    for checkpoint in checkpoints(len(K_LOCS), folder.run_id):
        CheckpointStore(attempt, Holder(folder.run_id, checkpoint.config_sha)).save(checkpoint)
    for step, score in enumerate(K_LOCS, start=1):
        claim.report(step, score)


def sent(store: StudyStore, study: StudyRef) -> None:
    """Send the study's record, as whoever looks after a search does."""
    with StudyUploader(study, embedded()):
        pass
    sync((), None)
    table = study_table(store, study, spec_from_facts(study.name, study.facts).space)
    assert say_of_study(embedded(), study, table) is None


def change(statement: str, *values: object) -> None:
    """Change the database of studies, past everybody."""
    _changed("optuna.db", statement, values)


def change_record(statement: str, *values: object) -> None:
    """Change MLflow's database, past MLflow."""
    _changed("mlflow.db", statement, values)


def _changed(name: str, statement: str, values: Sequence[object]) -> None:
    with closing(sqlite3.connect(Path("mlruns") / name)) as connection:
        assert connection.execute(statement, values).rowcount
        connection.commit()


def client() -> MlflowClient:
    """MLflow's own way into the record."""
    return MlflowClient(embedded().uri)


def record_of(number: int) -> Run:
    """What MLflow says of a trial's run."""
    return stored(folder_of(number), embedded())


def mlflow_id(number: int) -> str:
    """MLflow's own id of a trial's run."""
    return str(record_of(number).info.run_id)


def parent() -> Run:
    """What MLflow says of the study's own run."""
    return client().get_run(record_of(0).data.tags["mlflow.parentRunId"])


def twin(run: Run, status: str) -> None:
    """Make a run in MLflow that has the tags of another one."""
    tags = {key: value for key, value in run.data.tags.items() if "Name" not in key}
    made = client().create_run(run.info.experiment_id, tags=tags)
    if status != "RUNNING":
        client().set_terminated(made.info.run_id, status)


def folder_of(number: int) -> RunFolder:
    """Of a trial."""
    return find_run(f"{NAME}-{number:03d}")


def found(*studies: str, **more: Any) -> Diagnosis:  # noqa: ANN401 - as the check-up takes them
    """What a check-up finds."""
    return examine(studies, **more)


def wrong(diagnosis: Diagnosis) -> dict[str, str]:
    """Verdicts of the checks that are not in order, but for those of this machine."""
    return {
        each.what: each.verdict
        for each in diagnosis.checks
        if each.verdict != "ok" and each.area != "environment"
    }


def check_of(diagnosis: Diagnosis, what: str) -> Check:
    """The one check of something."""
    (only,) = [each for each in diagnosis.checks if each.what == what]
    return only


def mended() -> tuple[tuple[str, ...], Diagnosis]:
    """What is done, and how it looks after; what a second time does is nothing."""
    first = found(fix=True)
    assert () == found(fix=True).done
    return first.done, first


def end_all_leases() -> None:
    """Let every lease be over."""
    change("UPDATE risexp_attempts SET expires_at = 0 WHERE ended IS NULL")


def die_amid_a_trial() -> None:
    """Let a worker die that has a trial."""
    with the_study(begin=4) as (store, study):
        taken(store, study)
    end_all_leases()
