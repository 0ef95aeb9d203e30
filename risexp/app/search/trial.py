"""A trial of a search as a run: in a folder of its own, and told to its study."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import torch
from rich.console import Console

from risexp.app.run.machine import Machine
from risexp.app.run.run import Callbacks
from risexp.app.run.train import Finished, resume_run
from risexp.callbacks.watchdog import Watchdog
from risexp.config.training import TrainingConfig
from risexp.errors import InvalidInput, TrainingAborted
from risexp.hpo.workers.worker import Job, JobResult
from risexp.runs.folder import RunFolder, create_run, find_run, is_run
from risexp.runs.outcome import aborted
from risexp.runs.spec import Labels, read_labels, write_labels
from risexp.space.spec import SCORE
from risexp.training.curriculum import curriculum

OUT_OF_MEMORY: Final = "out-of-memory"
_MOST_PIECES: Final = 8
"""Into how many pieces a batch is cut, at most, before a trial is too large for its device."""


def train_trial(job: Job, machine: Machine, labels: Labels) -> JobResult:
    """Train a trial from where its last attempt ended, and say how it ended.

    Args:
        job: One attempt at the trial.
        machine: What it is computed on.
        labels: What its record is filed under.

    Raises:
        RisexpError: It cannot begin, or the machine failed.
    """
    folder = folder_of(job, labels)

    def keep(dump: Callable[[Path], None]) -> None:
        dump(folder.path / f"stacks-{len(folder.attempts()):02d}.txt")

    with Watchdog(job.lease_guard.write_guard(keep), job.on_hang) as watchdog:
        callbacks = Callbacks(
            first=(watchdog, job.lease_guard),
            recorders=(job.pruning_callback,),
            enders=(job.pruning_callback.enforce, job.study_end, job.time_limit),
            write_guard=job.lease_guard.write_guard,
        )
        finished = _in_memory(folder, machine, callbacks)
    if isinstance(finished, JobResult):
        return finished
    best = finished.best
    return JobResult(finished.outcome, None if best is None else best.scores[SCORE])


def folder_of(job: Job, labels: Labels) -> RunFolder:
    """The folder of a trial, made by its first attempt.

    Raises:
        InvalidInput: There is a run of this name that is another one.
    """
    config = job.loaded.config
    if not is_run(job.run_id):
        create_run(job.run_id, config, curriculum(config))
    folder = find_run(job.run_id)
    if folder.config_sha != config.sha():
        raise InvalidInput(
            f"there is a run {job.run_id!r} of another configuration: move {folder.path} away, or "
            "search under another name"
        )
    if read_labels(folder.path) is None:
        write_labels(folder.path, labels)
    return folder


def _in_memory(folder: RunFolder, machine: Machine, callbacks: Callbacks) -> Finished | JobResult:
    """Train; where the device's memory is short, in smaller pieces of the same batches."""
    # A worker's log has a line an epoch; a table that lives is the search's own.
    lines = Console(stderr=True, force_terminal=False)
    while True:
        try:
            return resume_run(folder, machine, lines, callbacks)
        except torch.OutOfMemoryError:
            pieces = 2 * machine.pieces
            if not _divides(folder.config().training, pieces):
                outcome = aborted(_too_large(folder.config().training, machine.pieces))
                # The last attempt wrote that it failed.
                callbacks.write_guard(folder.close)(outcome)
                return JobResult(outcome, None)
            machine = replace(machine, pieces=pieces)


def _divides(training: TrainingConfig, pieces: int) -> bool:
    """Whether every piece of a batch can be cut into so many."""
    return pieces <= _MOST_PIECES and training.batch % (training.accumulation * pieces) == 0


def _too_large(training: TrainingConfig, pieces: int) -> TrainingAborted:
    return TrainingAborted(
        f"a batch of {training.batch} scenes does not fit into the device's memory in "
        f"{training.accumulation * pieces} pieces: lower network.width or training.batch",
        guard=OUT_OF_MEMORY,
    )
