"""One worker of a search: a process that trains trials until none is left."""

import os
import secrets
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from risexp.app.run import Machine
from risexp.app.study_record import StudyRecord, study_labels
from risexp.app.trial import train_trial
from risexp.hpo.charters import charter_of
from risexp.hpo.crew import end_with_crew
from risexp.hpo.leases import Owner
from risexp.hpo.links import Links, trial_page
from risexp.hpo.store import Store, find_store
from risexp.hpo.studies import find_study
from risexp.hpo.worker import Job, Result, Worker
from risexp.tracking.stores import chosen_store

STORE: Final = "RISEXP_STORE"
"""Names the database of studies in the environment; a URL there is in no list of processes."""


@dataclass(frozen=True)
class Duty:
    """What a worker is told."""

    study: str
    machine: Machine
    tracking: str | None = None
    """Where runs are recorded, as on a command line."""
    crew: str | None = None
    """The crew it belongs to, which records its runs and ends it; None for one on its own."""


def work(duty: Duty, say: Callable[[str], None]) -> int:
    """Work on a study until nothing is left of it, or a signal comes.

    Returns:
        The exit code: 0, or that of the signal.

    Raises:
        RisexpError: There is no such study, or the machine failed.
    """
    if duty.crew is not None:
        end_with_crew(sys.stdin.fileno(), lambda: os.kill(os.getpid(), signal.SIGTERM))
    store = find_store(store_url())
    try:
        return _worked(store, duty, say)
    finally:
        store.close()


def owner_of(crew: str, pid: int, device: str = "") -> Owner:
    """A worker of a crew, as its leases name it."""
    return Owner(f"{crew}.{pid}", socket.gethostname(), pid, device)


def store_url() -> str | None:
    """The database of studies that the environment names, if it does."""
    return os.environ.get(STORE) or None


def _worked(store: Store, duty: Duty, say: Callable[[str], None]) -> int:
    study = find_study(store, duty.study)
    charter = charter_of(study.name, study.facts)
    record = chosen_store(duty.tracking)
    labels = study_labels(study, charter.space.base, record)
    owner = owner_of(duty.crew or secrets.token_hex(8), os.getpid(), str(duty.machine.device))

    def train(job: Job) -> Result:
        page = f"In optuna-dashboard: `{trial_page(study, job.number)}`"
        told = replace(labels, trial=job.number, searched=dict(job.values), note=page)
        return train_trial(job, duty.machine, told)

    worker = Worker(store, study, charter, owner, train)
    with StudyRecord(study, None if duty.crew else record, Links(store, study)):
        return worker.run(say)
