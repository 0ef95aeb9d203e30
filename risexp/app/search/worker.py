"""One worker of a search: a process that trains trials until none is left."""

import os
import secrets
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace

from risexp.app.run.machine import Machine
from risexp.app.search.study_record import StudyUploader, study_labels
from risexp.app.search.trial import train_trial
from risexp.hpo.store.address import store_url
from risexp.hpo.store.leases import LeaseOwner
from risexp.hpo.store.store import StudyStore, find_store
from risexp.hpo.studies.facts import spec_from_facts
from risexp.hpo.studies.links import Links, trial_page
from risexp.hpo.studies.study import find_study
from risexp.hpo.workers.pool import end_with_parent
from risexp.hpo.workers.worker import Job, JobResult, Worker
from risexp.tracking.stores import chosen_store


@dataclass(frozen=True)
class WorkerArgs:
    """What a worker is told."""

    study: str
    machine: Machine
    tracking: str | None = None
    """Where runs are recorded, as on a command line."""
    crew: str | None = None
    """The crew it belongs to, which records its runs and ends it; None for one on its own."""


def work(duty: WorkerArgs, say: Callable[[str], None]) -> int:
    """Work on a study until nothing is left of it, or a signal comes.

    Returns:
        The exit code: 0, or that of the signal.

    Raises:
        RisexpError: There is no such study, or the machine failed.
    """
    if duty.crew is not None:
        end_with_parent(sys.stdin.fileno(), lambda: os.kill(os.getpid(), signal.SIGTERM))
    store = find_store(store_url())
    try:
        return _worked(store, duty, say)
    finally:
        store.close()


def owner_of(crew: str, pid: int, device: str = "") -> LeaseOwner:
    """A worker of a crew, as its leases name it."""
    return LeaseOwner(f"{crew}.{pid}", socket.gethostname(), pid, device)


def _worked(store: StudyStore, duty: WorkerArgs, say: Callable[[str], None]) -> int:
    study = find_study(store, duty.study)
    charter = spec_from_facts(study.name, study.facts)
    record = chosen_store(duty.tracking)
    labels = study_labels(study, charter.space.base, record)
    owner = owner_of(duty.crew or secrets.token_hex(8), os.getpid(), str(duty.machine.device))

    def train(job: Job) -> JobResult:
        page = f"In optuna-dashboard: `{trial_page(study, job.number)}`"
        told = replace(labels, trial=job.number, searched=dict(job.values), note=page)
        return train_trial(job, duty.machine, told)

    worker = Worker(store, study, charter, owner, train)
    with StudyUploader(study, None if duty.crew else record, Links(store, study)):
        return worker.run(say)
