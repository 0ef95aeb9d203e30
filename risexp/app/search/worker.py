"""A worker process: trains the trials of a study as runs until none is left."""

import os
import secrets
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from rich.console import Console

from risexp.app.run.machine import Machine
from risexp.app.run.train import resume_in_memory
from risexp.app.search.studies import open_studies
from risexp.app.search.study_record import StudyUploader, study_labels
from risexp.callbacks.signals import SignalCallback
from risexp.callbacks.watchdog import Watchdog
from risexp.core.home import home_id
from risexp.core.signals import write_stderr
from risexp.errors import InvalidInput
from risexp.hpo.store.leases import LeaseOwner
from risexp.hpo.store.retry import Retry
from risexp.hpo.store.store import StudyStore, find_store
from risexp.hpo.studies.hosts import join_home
from risexp.hpo.studies.links import Links, trial_page
from risexp.hpo.studies.study import find_study
from risexp.hpo.workers.pool import end_with_parent
from risexp.hpo.workers.worker import Job, JobResult, Worker
from risexp.runs.folder import RunFolder, create_run, find_run, home_fault, is_run
from risexp.runs.spec import Labels, read_labels, write_labels
from risexp.space.spec import SCORE
from risexp.tracking.stores import chosen_store
from risexp.training.curriculum import curriculum


def work(
    study_name: str,
    machine: Machine,
    tracking: str | None,
    crew: str | None,
    say: Callable[[str], None],
    *,
    own_home: bool = False,
) -> int:
    """Work on a study until no trial is left, or a signal comes: 0, or the signal's exit code.

    `crew` is the pool that records the runs and ends this worker; None for a single worker.
    With `own_home` it works though this home is not the one of the study.
    """
    if crew is not None:
        end_with_parent(sys.stdin.fileno(), lambda: os.kill(os.getpid(), signal.SIGTERM))
    with SignalCallback() as signals, open_studies(patient_store(signals)) as store:
        study, record = find_study(store, study_name), chosen_store(tracking)
        if not own_home and (sentence := join_home(store, study)):
            say(sentence)
        labels = study_labels(study, study.spec.space.base, record)
        owner = owner_of(crew or secrets.token_hex(8), os.getpid(), str(machine.device))

        def train(job: Job) -> JobResult:
            page = f"In optuna-dashboard: `{trial_page(study, job.number)}`"
            own = replace(labels, trial=job.number, searched=dict(job.values), note=page)
            return train_trial(job, machine, own)

        worker = Worker(store, study, owner, train, signals, partial(home_fault, home_id()))
        with StudyUploader(study, None if crew else record, Links(store, study)):
            return worker.run(say)


def patient_store(signals: SignalCallback) -> Callable[[str | None], StudyStore]:
    """Opens the store of a worker; after a signal its calls are not repeated for long."""
    return partial(find_store, retry=Retry("", sleep=signals.sleep))


def owner_of(pool: str, pid: int, device: str = "") -> LeaseOwner:
    """A worker of a pool, as its leases name it."""
    return LeaseOwner(f"{pool}.{pid}", socket.gethostname(), pid, device)


def train_trial(job: Job, machine: Machine, labels: Labels) -> JobResult:
    """Train a trial on from its last attempt."""
    folder = trial_folder(job, labels)

    def keep(dump: Callable[[Path], None]) -> None:
        dump(folder.path / f"stacks-{len(folder.attempts()):02d}.txt")

    callbacks = job.callbacks
    with Watchdog(callbacks.write_guard(keep), job.on_hang) as watchdog:
        callbacks = replace(callbacks, first=(watchdog, *callbacks.first))
        # A worker's log has a line an epoch; the live table belongs to the search.
        console = Console(stderr=True, force_terminal=False)
        finished = resume_in_memory(folder, machine, console, callbacks)
    best = finished.best
    return JobResult(finished.outcome, None if best is None else best.scores[SCORE])


def trial_folder(job: Job, labels: Labels) -> RunFolder:
    """The folder of a trial's run, which its first attempt creates."""
    config = job.config
    if not is_run(job.run_id):
        create_run(job.run_id, config, curriculum(config))
    folder = find_run(job.run_id)
    for name in folder.mend(config, curriculum(config), labels):
        write_stderr(f"{folder.path / name} was damaged: it is set aside and mended")
    if folder.config_sha != config.sha():
        raise InvalidInput(
            f"there is a run {job.run_id!r} of another configuration: move {folder.path} away, or "
            "search under another name"
        )
    if read_labels(folder.path) is None:
        write_labels(folder.path, labels)
    return folder
