"""A run from its configuration to its calibrated best checkpoint."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial

import torch
from rich.console import Console

from risexp.app.run.calibrate import calibrate
from risexp.app.run.devices import device_named
from risexp.app.run.run import NO_CALLBACKS, Callbacks, Machine, Run
from risexp.app.run.warm_start import warm_start
from risexp.config.run import RunConfig
from risexp.inference.calibration import Calibration
from risexp.runs.folder import RunFolder, create_run, find_run, new_run_id
from risexp.runs.journal import Journal
from risexp.runs.machine import environment
from risexp.runs.outcome import Outcome, complete
from risexp.tracking.uploader_process import Tracking, recorded
from risexp.training.checkpoint import Checkpoint
from risexp.training.checkpoint_store import CheckpointOwner, CheckpointStore, best, newest


@dataclass(frozen=True)
class Finished:
    """A run that has ended, whether or not it can go on."""

    folder: RunFolder
    outcome: Outcome
    best: Checkpoint | None
    """Its best epoch; None where none was kept."""
    calibration: Calibration | None
    """Of the best epoch's count head, once the run is complete."""
    damaged: tuple[str, ...] = ()
    """What was wrong with checkpoints, in sentences."""


def train(
    config: RunConfig,
    machine: Machine,
    console: Console,
    tracking: Tracking | None = None,
    company: Callbacks = NO_CALLBACKS,
) -> Finished:
    """Train a new run; whatever cannot begin leaves no folder behind.

    Raises:
        RisexpError: It cannot begin, or the machine failed.
    """
    torch.set_num_threads(machine.threads)
    warm = warm_start(config)
    run = Run.build(config.canonical(), machine, warm=warm)
    folder = create_run(new_run_id(), config, run.trainer.plans)
    with folder.held(), recorded(folder.path, tracking, _teller(console)):
        if warm is not None:
            warm.record(folder)
        finished = train_and_calibrate(folder, run, machine, console, company)
    return merge_damage(finished, () if warm is None else warm.origin["damaged"])


def resume(
    name: str, machine: Machine, console: Console, tracking: Tracking | None = None
) -> Finished:
    """Go on with a run from its newest sound checkpoint, on the device it began on.

    Raises:
        RisexpError: There is no such run, somebody else trains it, or the machine failed.
    """
    folder = find_run(name)
    with folder.held():
        return resume_run(folder, machine, console, tracking=tracking)


def resume_run(
    folder: RunFolder,
    machine: Machine,
    console: Console,
    company: Callbacks = NO_CALLBACKS,
    tracking: Tracking | None = None,
) -> Finished:
    """Train a run that is this process's own from its newest sound checkpoint, or from the start.

    Raises:
        RisexpError: It cannot go on, or the machine failed.
    """
    config = folder.config().canonical()
    before = folder.environments()
    if before:
        # Another device draws other scenes, and another number of threads sums in another order.
        device = device_named(str(before[0]["device"]))
        machine = replace(machine, device=device, threads=int(before[0]["threads"]))
    torch.set_num_threads(machine.threads)
    found = newest(folder.attempts(), CheckpointOwner(folder.run_id, folder.config_sha))
    resumed = None if found.checkpoint is None else found.checkpoint.state
    warm = None if resumed is not None else warm_start(config)
    run = Run.build(config, machine, warm=warm, resumed=resumed)
    if warm is not None:
        warm.record(folder)
    with recorded(folder.path, tracking, _teller(console)):
        finished = train_and_calibrate(folder, run, machine, console, company)
    return merge_damage(
        finished, (*found.damaged, *(() if warm is None else warm.origin["damaged"]))
    )


def _teller(console: Console) -> Callable[[str], None]:
    return partial(console.print, highlight=False, markup=False, soft_wrap=True)


def merge_damage(finished: Finished, damaged: Iterable[str]) -> Finished:
    """The same, with what was found before; what cannot be set aside is found again and again."""
    return replace(finished, damaged=tuple(dict.fromkeys((*damaged, *finished.damaged))))


def train_and_calibrate(
    folder: RunFolder, run: Run, machine: Machine, console: Console, company: Callbacks
) -> Finished:
    """Train what is left, and calibrate the best epoch once that was all."""
    owner = CheckpointOwner(folder.run_id, folder.config_sha)
    outcome = finished_outcome(run)
    if outcome is not None:
        vault = CheckpointStore(folder.attempts()[-1], owner)
    else:
        vault = CheckpointStore(folder.begin(environment(machine.device)), owner)
        outcome = run.fit(folder, vault, machine, console, company)
    kept, damaged = _best(folder, owner)
    if kept is None or outcome.status != "complete" or kept.temperature is not None:
        return Finished(folder, outcome, kept, None, damaged)
    calibrated, calibration = calibrate(kept, run.config, machine.device)
    company.write_guard(partial(save_calibration, folder, vault, calibration))(calibrated)
    return Finished(folder, outcome, calibrated, calibration, damaged)


def save_calibration(
    folder: RunFolder, vault: CheckpointStore, calibration: Calibration, calibrated: Checkpoint
) -> None:
    """Write the calibration into the journal and the checkpoint."""
    journal = Journal(folder.journal, folder.run_id)
    journal.note(calibrated.epoch, "calibrated", vars(calibration))
    vault.save(calibrated)


def finished_outcome(run: Run) -> Outcome | None:
    """How a run ended that has no more to do; None where it has to go on."""
    progress, plans = run.trainer.progress, run.trainer.plans
    if progress.epoch == len(plans):
        return complete("finished", progress.epoch)
    patience = run.config.training.patience
    if progress.epoch == 0 or patience is None:
        return None
    # Its outcome may not have been written: what was kept says it as well.
    last = plans[progress.epoch - 1]
    stopped = last.judged and last.phase == plans[-1].phase and progress.since_best >= patience
    return complete("early-stop", progress.epoch) if stopped else None


def _best(folder: RunFolder, owner: CheckpointOwner) -> tuple[Checkpoint | None, tuple[str, ...]]:
    """The best epoch that was kept, none where no epoch came to its end; and what was damaged."""
    attempts = folder.attempts()
    last = newest(attempts, owner)
    if last.checkpoint is None:
        return None, last.damaged
    chosen = best(attempts, owner)
    return chosen.checkpoint, (*last.damaged, *chosen.damaged)
