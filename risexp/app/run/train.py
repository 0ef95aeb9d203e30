"""Trains a run, new or resumed, and calibrates its best checkpoint."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import torch
from rich.console import Console

from risexp.app.run.machine import Machine, recorded_machine
from risexp.app.run.run import Run, calibrate
from risexp.app.run.warm_start import WarmStart, warm_start
from risexp.callbacks.run_loop import NO_CALLBACKS, Callbacks
from risexp.config.run import RunConfig
from risexp.config.training import TrainingConfig
from risexp.core.printable import printable
from risexp.errors import TrainingAborted
from risexp.estimation.backend import backend_of
from risexp.inference.calibration import Calibration
from risexp.runs.folder import RunFolder, create_run, find_run, new_run_id
from risexp.runs.machine import environment
from risexp.runs.outcome import Outcome, aborted, complete
from risexp.tracking.uploader_process import Tracking, recorded
from risexp.training.checkpoint import Checkpoint
from risexp.training.checkpoint_store import best, newest

OUT_OF_MEMORY: Final = "out-of-memory"
_MOST_PIECES: Final = 8
"""Pieces of a batch, at most, before a run is too large for its device."""


@dataclass(frozen=True)
class Finished:
    """A run that has ended; some can be resumed."""

    folder: RunFolder
    outcome: Outcome
    best: Checkpoint | None
    """Checkpoint of the best epoch, if one was kept."""
    calibration: Calibration | None
    """Calibration of the best epoch's count head, once the run is complete."""
    damaged: tuple[str, ...] = ()


def train(
    config: RunConfig,
    machine: Machine,
    console: Console,
    tracking: Tracking | None = None,
    callbacks: Callbacks = NO_CALLBACKS,
) -> Finished:
    """Train a new run; one that cannot begin leaves no folder behind."""
    torch.set_num_threads(machine.threads)
    backend = machine.backend or backend_of(config.localisation.backend)
    machine = replace(machine, backend=backend)
    warm = warm_start(config)
    # A run that was too large must not stay in memory beside the next attempt.
    built = [Run.build(config.canonical(), machine, warm=warm)]
    folder = create_run(new_run_id(), config, built[0].trainer.plans)

    def attempt(machine: Machine) -> Finished:
        if not built:
            return resume_run(folder, machine, console, callbacks, tracking)
        with recorded(folder.path, tracking, _printer(console)):
            if warm is not None:
                warm.record(folder)
            return _fit_and_calibrate(folder, built.pop(), console, callbacks)

    with folder.held():
        finished = fit_in_memory(folder, machine, console, callbacks, attempt)
    return _merge_damage(finished, (), warm)


def resume(
    name: str, machine: Machine, console: Console, tracking: Tracking | None = None
) -> Finished:
    """Resume a run from its newest sound checkpoint, on the device it began on."""
    folder = find_run(name)
    with folder.held():
        return resume_in_memory(folder, machine, console, tracking=tracking)


def resume_in_memory(
    folder: RunFolder,
    machine: Machine,
    console: Console,
    callbacks: Callbacks = NO_CALLBACKS,
    tracking: Tracking | None = None,
) -> Finished:
    """Train a run that this process holds, in as many pieces as the device's memory asks for."""
    return fit_in_memory(
        folder,
        machine,
        console,
        callbacks,
        lambda machine: resume_run(folder, machine, console, callbacks, tracking),
    )


def fit_in_memory(
    folder: RunFolder,
    machine: Machine,
    console: Console,
    callbacks: Callbacks,
    attempt: Callable[[Machine], Finished],
) -> Finished:
    """Attempt a training; where the device's memory is short, in smaller pieces of the batches."""
    while True:
        try:
            return attempt(machine)
        except torch.OutOfMemoryError:
            training, pieces = folder.config().training, 2 * machine.pieces
            divides = training.batch % (training.accumulation * pieces) == 0
            if pieces > _MOST_PIECES or not divides:
                outcome = aborted(_too_large(training, machine.pieces))
                # The last attempt wrote that it failed.
                callbacks.write_guard(folder.close)(outcome)
                return Finished(folder, outcome, None, None)
            machine = replace(machine, pieces=pieces)
            _printer(console)(
                f"a batch of {training.batch} scenes does not fit into the device's memory: going "
                f"on in {training.accumulation * pieces} pieces"
            )


def _too_large(training: TrainingConfig, pieces: int) -> TrainingAborted:
    return TrainingAborted(
        f"a batch of {training.batch} scenes does not fit into the device's memory in "
        f"{training.accumulation * pieces} pieces: lower network.width or training.batch",
        guard=OUT_OF_MEMORY,
    )


def resume_run(
    folder: RunFolder,
    machine: Machine,
    console: Console,
    callbacks: Callbacks = NO_CALLBACKS,
    tracking: Tracking | None = None,
) -> Finished:
    """Train a run that this process holds, from its newest sound checkpoint or from the start."""
    config = folder.config().canonical()
    before = folder.environments()
    if before:
        # Another device draws other scenes; other threads or loops sum in another order.
        machine = recorded_machine(before[0], machine)
    torch.set_num_threads(machine.threads)
    last = newest(folder.attempts(), folder.owner)
    resumed = None if last.checkpoint is None else last.checkpoint.state
    warm = None if resumed is not None else warm_start(config)
    run = Run.build(config, machine, warm=warm, resumed=resumed)
    if warm is not None:
        warm.record(folder)
    with recorded(folder.path, tracking, _printer(console)):
        finished = _fit_and_calibrate(folder, run, console, callbacks)
    return _merge_damage(finished, last.damaged, warm)


def _printer(console: Console) -> Callable[[str], None]:
    def say(text: str) -> None:
        console.print(printable(text), highlight=False, markup=False, soft_wrap=True)

    return say


def _merge_damage(finished: Finished, damaged: tuple[str, ...], warm: WarmStart | None) -> Finished:
    """Add earlier damage once: a checkpoint that cannot be moved away is found at every reading."""
    started = () if warm is None else warm.origin["damaged"]
    sentences = (*damaged, *started, *finished.damaged)
    return replace(finished, damaged=tuple(dict.fromkeys(sentences)))


def _fit_and_calibrate(
    folder: RunFolder, run: Run, console: Console, callbacks: Callbacks
) -> Finished:
    outcome = finished_outcome(run)
    if outcome is not None:
        store = folder.checkpoints()
    else:
        callbacks.before_begin()
        store = folder.begin(environment(run.machine.device, run.machine.backend))
        outcome = run.fit(folder, store, console, callbacks)
    kept, damaged = _best(folder)
    if kept is None or outcome.status != "complete" or kept.temperature is not None:
        return Finished(folder, outcome, kept, None, damaged)
    calibrated, calibration = calibrate(kept, run.machine.settle(run.config), run.machine.device)

    def save(checkpoint: Checkpoint) -> None:
        folder.open_journal().note(checkpoint.epoch, "calibrated", vars(calibration))
        store.save(checkpoint)

    callbacks.write_guard(save)(calibrated)
    return Finished(folder, outcome, calibrated, calibration, damaged)


def finished_outcome(run: Run) -> Outcome | None:
    """Outcome of a run with no epoch left; None if it has to go on."""
    progress, plans = run.trainer.progress, run.trainer.plans
    if progress.epoch == len(plans):
        return complete("finished", progress.epoch)
    patience = run.config.training.patience
    if progress.epoch == 0 or patience is None:
        return None
    # The outcome may not have been written; the kept progress says the same.
    last = plans[progress.epoch - 1]
    stopped = last.judged and last.phase == plans[-1].phase and progress.since_best >= patience
    return complete("early-stop", progress.epoch) if stopped else None


def _best(folder: RunFolder) -> tuple[Checkpoint | None, tuple[str, ...]]:
    last = newest(folder.attempts(), folder.owner)
    if last.checkpoint is None:
        return None, last.damaged
    chosen = best(folder.attempts(), folder.owner)
    return chosen.checkpoint, (*last.damaged, *chosen.damaged)
