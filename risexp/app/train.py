"""A run from its configuration to its calibrated best checkpoint."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain

import torch
from rich.console import Console

from risexp.app.devices import device_named
from risexp.app.trained import network_of
from risexp.config.run import RunConfig
from risexp.data.frames import Scenes
from risexp.data.scenes import SceneGenerator
from risexp.diagnostics.labels import label_covariance
from risexp.evaluation.validation import Validator
from risexp.inference.calibration import Calibration
from risexp.loss.self_test import nmse_self_test
from risexp.model.network import Network, part_of
from risexp.model.observation import Observer
from risexp.tracking.console import view
from risexp.tracking.environment import environment
from risexp.tracking.folder import RunFolder, create_run, find_run, new_run_id
from risexp.tracking.follow import Observer as Listener
from risexp.tracking.follow import follow
from risexp.tracking.journal import Journal
from risexp.tracking.keeping import Keeper
from risexp.tracking.leak import Leak, scene_marks
from risexp.tracking.listeners import in_order, standard_guards
from risexp.tracking.outcome import Outcome, complete
from risexp.tracking.recorder import Recorder
from risexp.tracking.signals import Signals
from risexp.tracking.stopping import Patience, WallTime
from risexp.tracking.watch import Guard, Watch
from risexp.training.checkpoint import Checkpoint, config_tree
from risexp.training.curriculum import curriculum
from risexp.training.plan import Plan
from risexp.training.setup import Lesson, trainer_of
from risexp.training.state import State
from risexp.training.teacher import Marking, Teacher
from risexp.training.trainer import Trainer
from risexp.training.vault import Owner, Vault, best, newest

_SCENES = 512
"""Scenes of the calibration answered at once."""


@dataclass(frozen=True)
class Machine:
    """What a run is computed on, and for how long at most."""

    device: torch.device
    threads: int
    time_limit_s: float | None = None


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
    """What was wrong with checkpoints that were set aside."""


def train(config: RunConfig, machine: Machine, console: Console) -> Finished:
    """Train a new run; whatever cannot begin leaves no folder behind.

    Raises:
        RisexpError: It cannot begin, or the machine failed.
    """
    torch.set_num_threads(machine.threads)
    run = Run.of(config, machine.device, warm=warm_state(config))
    folder = create_run(new_run_id(), config, curriculum(config))
    with folder.held():
        return _finished(folder, run, machine, console)


def resume(name: str, machine: Machine, console: Console) -> Finished:
    """Go on with a run from its newest sound checkpoint, on the device it began on.

    Raises:
        RisexpError: There is no such run, somebody else trains it, or the machine failed.
    """
    folder = find_run(name)
    config = folder.config()
    before = folder.environments()
    if before:
        # Another device draws other scenes, and another number of threads sums in another order.
        device = device_named(str(before[0]["device"]))
        machine = replace(machine, device=device, threads=int(before[0]["threads"]))
    torch.set_num_threads(machine.threads)
    with folder.held():
        found = newest(folder.attempts(), Owner(folder.run_id, folder.config_sha))
        resumed = None if found.checkpoint is None else found.checkpoint.state
        warm = None if resumed is not None else warm_state(config)
        run = Run.of(config, machine.device, warm=warm, resumed=resumed)
        return replace(_finished(folder, run, machine, console), damaged=found.damaged)


def warm_state(config: RunConfig) -> State | None:
    """The state whose averaged weights a configuration wants to start from, if any.

    Raises:
        RisexpError: It names no run that has a sound checkpoint.
    """
    name = config.curriculum.warm_start
    return None if name is None else best(find_run(name).attempts()).state


def _finished(folder: RunFolder, run: "Run", machine: Machine, console: Console) -> Finished:
    """Train what is left, and calibrate the best epoch once that was all."""
    owner = Owner(folder.run_id, folder.config_sha)
    outcome = _ended(run)
    if outcome is not None:
        vault = Vault(folder.attempts()[-1], owner)
    else:
        vault = Vault(folder.begin(environment(machine.device)), owner)
        outcome = run.followed(folder, vault, machine, console)
    kept = _best(folder, owner)
    if kept is None or outcome.status != "complete" or kept.temperature is not None:
        return Finished(folder, outcome, kept, None)
    calibrated, calibration = calibrate(kept, run.config, machine.device)
    Journal(folder.journal, folder.run_id).note(kept.epoch, "calibrated", vars(calibration))
    vault.save(calibrated)
    return Finished(folder, outcome, calibrated, calibration)


@dataclass(frozen=True)
class Run:
    """A trainer, and what its listeners need to know of the configuration."""

    config: RunConfig
    trainer: Trainer
    judges: Scenes
    """What it is validated on."""

    @classmethod
    def of(
        cls,
        config: RunConfig,
        device: torch.device,
        *,
        warm: State | None = None,
        resumed: State | None = None,
    ) -> "Run":
        """Everything a configuration describes, on one device."""
        generator = SceneGenerator(config.physics, config.data, device)
        torch.manual_seed(config.training.seed)
        network, teacher = Network(config).to(device), Teacher.of(config, device)
        judges = generator.scenes("validation", 0, config.validation.scenes)
        nmse_self_test(label_covariance(config.physics, judges.truth))
        validator = Validator.of(config, judges)
        lesson = Lesson(
            network,
            part_of,
            teacher,
            lambda network, plan: validator(network, plan.beta, Marking(teacher, plan)),
            teacher.balance,
        )
        trainer = trainer_of(config, lesson, generator, warm=warm, resumed=resumed)
        return cls(config, trainer, judges)

    def followed(
        self, folder: RunFolder, vault: Vault, machine: Machine, console: Console
    ) -> Outcome:
        """Train to the end, recorded, guarded and kept."""
        trainer, plans = self.trainer, folder.plans()
        journal = Journal(folder.journal, folder.run_id)
        watch = Watch((*standard_guards(trainer, plans, journal, self._idle()), self._leak()))
        recorders = (
            Recorder(journal, watch.values),
            view(console, plans, self.config.data.sources_max),
        )
        keeper = Keeper(vault, config_tree(self.config), trainer.state)
        enders = self._enders(machine, plans, journal.spent_s)
        with Signals() as signals:
            observers = in_order(watch, recorders, keeper, [*enders, signals])
            return follow(trainer, observers, folder.run_id, folder.close)

    def _idle(self) -> tuple[str, ...]:
        """Parameters that this configuration gives nothing to do, by how their names begin."""
        last = self.trainer.plans[-1].active
        found = "found" in last
        shaped = bool(last.keys() - {"count", "pointers", "existence", "found", "heat"})
        ranged = shaped and self.config.factors.lambda_range > 0.0
        located = shaped or "existence" in last
        counted = self.config.data.sources_max > 1
        idle = {
            "found.": found,
            "factors.doubt.": ranged,
            "factors.power.": shaped,
            "factors.columns.": shaped,
            "factors.existence.": located,
            "count.": counted,
        }
        return tuple(name for name, used in idle.items() if not used)

    def _leak(self) -> Guard:
        """The scenes of the first epoch against those of the validation, as both are drawn."""
        return Leak(
            lambda: chain.from_iterable(map(scene_marks, self.trainer.batches.epoch(1))),
            partial(scene_marks, self.judges),
        )

    def _enders(self, machine: Machine, plans: Sequence[Plan], spent_s: float) -> list[Listener]:
        enders: list[Listener] = []
        if self.config.training.patience is not None:
            enders.append(Patience(self.config.training.patience, plans[-1].phase))
        if machine.time_limit_s is not None:
            enders.append(WallTime(machine.time_limit_s, spent_s))
        return enders


def calibrate(
    checkpoint: Checkpoint, config: RunConfig, device: torch.device
) -> tuple[Checkpoint, Calibration]:
    """Fit the count's temperature on scenes of their own, for these very weights."""
    network = network_of(replace(checkpoint, temperature=None), config, device)
    observe = Observer.of(config)
    generator = SceneGenerator(config.physics, config.data, device)
    scenes = generator.scenes("calibration", 0, config.validation.calibration_scenes)
    logits = []
    with torch.no_grad():
        for start in range(0, len(scenes), _SCENES):
            seen = observe(scenes[start : start + _SCENES].frames)
            logits.append(network(seen, checkpoint.beta).count_logits)
    found = Calibration.of(network.law, torch.cat(logits), scenes.truth.count)
    return replace(checkpoint, temperature=found.temperature), found


def _ended(run: "Run") -> Outcome | None:
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


def _best(folder: RunFolder, owner: Owner) -> Checkpoint | None:
    """The best epoch that was kept; none where no epoch came to its end."""
    attempts = folder.attempts()
    return None if newest(attempts, owner).checkpoint is None else best(attempts, owner)
