"""A run as it is trained on one machine: its trainer, and everybody who listens to it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import torch
from rich.console import Console

from risexp.app.run.calibrate import calibration_scenes
from risexp.app.run.warm_start import WarmStart
from risexp.callbacks.checkpoint import CheckpointCallback
from risexp.callbacks.console import view
from risexp.callbacks.early_stopping import EarlyStopping, TimeBudget
from risexp.callbacks.guards import (
    Guard,
    GuardCallback,
    LeakGuard,
    batch_marks,
    scene_marks,
    stream_marks,
)
from risexp.callbacks.learning_guards import standard_guards
from risexp.callbacks.recorder import ConfusionRecorder, LastConfusions, Recorder
from risexp.callbacks.run_loop import Callback as Listener
from risexp.callbacks.run_loop import callback_order, run_loop
from risexp.callbacks.signals import SignalCallback
from risexp.config.run import RunConfig
from risexp.data.frames import Scenes
from risexp.data.scenes import SceneGenerator
from risexp.data.streams import BLOCK
from risexp.diagnostics.probe_data import label_covariance
from risexp.evaluation.validation import Validator
from risexp.loss.self_test import nmse_self_test
from risexp.model.network import Network, part_of
from risexp.runs.folder import RunFolder
from risexp.runs.journal import Journal
from risexp.runs.outcome import Outcome
from risexp.training.checkpoint import config_tree
from risexp.training.checkpoint_store import CheckpointStore
from risexp.training.objective import Objective, ValidationLoss
from risexp.training.plan import Plan
from risexp.training.setup import TrainSetup, build_trainer
from risexp.training.state import State
from risexp.training.trainer import Trainer


@dataclass(frozen=True)
class Machine:
    """What a run is computed on, and for how long at most."""

    device: torch.device
    threads: int
    time_limit_s: float | None = None
    pieces: int = 1
    """Pieces to cut each piece of a batch into, where its memory is short."""


WriteGuard = Callable[[Callable[[Any], None]], Callable[[Any], None]]
"""Stands around those who write, and knows when they have to be quiet."""


def identity(tell: Callable[[Any], None]) -> Callable[[Any], None]:
    """Nobody stands around."""
    return tell


@dataclass(frozen=True)
class Callbacks:
    """Who listens to a run besides its own recorders, guards and keepers."""

    first: tuple[Listener, ...] = ()
    """Told before all others."""
    recorders: tuple[Listener, ...] = ()
    enders: tuple[Listener, ...] = ()
    """Told before a signal is honoured."""
    write_guard: WriteGuard = identity
    """Put around all who write, e.g. to silence who has lost the run to another process."""


NO_CALLBACKS: Final = Callbacks()


@dataclass(frozen=True)
class Run:
    """A trainer, and what its listeners need to know of the configuration."""

    config: RunConfig
    trainer: Trainer
    validation_scenes: Scenes
    """What it is validated on."""
    confusions: LastConfusions = field(default_factory=LastConfusions)
    """Of its last validation."""

    @classmethod
    def build(
        cls,
        config: RunConfig,
        machine: Machine,
        *,
        warm: WarmStart | None = None,
        resumed: State | None = None,
    ) -> "Run":
        """Everything a configuration describes, on one machine."""
        device = machine.device
        generator = SceneGenerator(config.physics, config.data, device)
        torch.manual_seed(config.training.seed)
        network, teacher = Network(config).to(device), Objective.of(config, device)
        judges = generator.scenes("validation", 0, config.validation.scenes)
        nmse_self_test(label_covariance(config.physics, judges.truth))
        confusions = LastConfusions()
        validator = replace(Validator.of(config, judges), tell=confusions.see)
        lesson = TrainSetup(
            network,
            part_of,
            teacher,
            lambda network, plan: validator(network, plan.beta, ValidationLoss(teacher, plan)),
            teacher.balance,
        )
        start = None if warm is None else warm.state
        cut = {"training.accumulation": config.training.accumulation * machine.pieces}
        trainer = build_trainer(config.replace(cut), lesson, generator, warm=start, resumed=resumed)
        return cls(config, trainer, judges, confusions)

    def fit(
        self,
        folder: RunFolder,
        vault: CheckpointStore,
        machine: Machine,
        console: Console,
        company: Callbacks,
    ) -> Outcome:
        """Train to the end, recorded, guarded and kept."""
        trainer, plans = self.trainer, folder.plans()
        journal = Journal(folder.journal, folder.run_id)
        leak = self._leak(machine.device)
        watch = GuardCallback((*standard_guards(trainer, plans, journal, self._idle()), leak))
        recorders: tuple[Listener, ...] = (
            Recorder(journal, watch.values),
            ConfusionRecorder(journal, self.confusions),
            view(console, plans, self.config.data.sources_max),
            *company.recorders,
        )
        keeper = CheckpointCallback(vault, config_tree(self.config), trainer.state)
        enders = self._enders(machine, plans, journal.spent_s)
        with SignalCallback() as signals:
            own = callback_order(watch, recorders, keeper, [*enders, *company.enders, signals])
            observers = [*company.first, *map(company.write_guard, own)]
            return run_loop(trainer, observers, folder.run_id, company.write_guard(folder.close))

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

    def _leak(self, device: torch.device) -> Guard:
        """What teaches, judges and calibrates: all their streams, and some scenes as drawn."""
        config, batches = self.config, self.trainer.batches
        seed, training = config.data.seed, config.training
        epochs = 1 if training.repeat else len(self.trainer.plans)
        fitted = config.validation.calibration_scenes

        def teaching() -> Iterator[bytes]:
            yield from stream_marks(seed, "train", epochs * len(batches) * training.batch)
            yield from batch_marks(batches, epochs)

        def judging() -> Iterator[bytes]:
            yield from stream_marks(seed, "validation", len(self.validation_scenes))
            yield from scene_marks(self.validation_scenes)

        def calibrating() -> Iterator[bytes]:
            yield from stream_marks(seed, "calibration", fitted)
            yield from scene_marks(calibration_scenes(config, device, min(fitted, BLOCK)))

        return LeakGuard({"training": teaching, "validation": judging, "calibration": calibrating})

    def _enders(self, machine: Machine, plans: Sequence[Plan], spent_s: float) -> list[Listener]:
        enders: list[Listener] = []
        if self.config.training.patience is not None:
            enders.append(EarlyStopping(self.config.training.patience, plans[-1].phase))
        if machine.time_limit_s is not None:
            enders.append(TimeBudget(machine.time_limit_s, spent_s))
        return enders
