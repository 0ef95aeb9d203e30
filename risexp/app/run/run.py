"""Builds a run from its configuration, fits it with its callbacks, and calibrates its count."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import torch
from rich.console import Console

from risexp.app.run.machine import Machine
from risexp.app.run.warm_start import WarmStart
from risexp.app.serving.resolve_model import network_of
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
from risexp.callbacks.recorder import LastConfusions, Recorder
from risexp.callbacks.run_loop import Callback, Callbacks, callback_order, run_loop
from risexp.callbacks.signals import SignalCallback
from risexp.config.run import RunConfig
from risexp.data.frames import Scenes
from risexp.data.scenes import SceneGenerator
from risexp.data.streams import BLOCK
from risexp.diagnostics.probe_data import label_covariance
from risexp.evaluation.validation import Validator
from risexp.inference.calibration import Calibration
from risexp.loss.self_test import nmse_self_test
from risexp.model.network import Network, part_of
from risexp.model.observation import Observer
from risexp.runs.folder import RunFolder
from risexp.runs.outcome import Outcome
from risexp.training.checkpoint import Checkpoint, State, config_tree
from risexp.training.checkpoint_store import CheckpointStore
from risexp.training.objective import Objective, ValidationLoss
from risexp.training.plan import Plan
from risexp.training.setup import TrainSetup, build_trainer
from risexp.training.trainer import Trainer

_BATCH: Final = 512
"""Scenes of one forward pass of calibration."""


@dataclass(frozen=True)
class Run:
    """A trainer with its machine and validation scenes."""

    config: RunConfig
    machine: Machine
    trainer: Trainer
    validation_scenes: Scenes
    confusions: LastConfusions = field(default_factory=LastConfusions)
    """Confusion counts of the last validation."""

    @classmethod
    def build(
        cls,
        config: RunConfig,
        machine: Machine,
        *,
        warm: WarmStart | None = None,
        resumed: State | None = None,
    ) -> "Run":
        """Build everything that a configuration describes, on one machine."""
        device, described, config = machine.device, config, machine.settle(config)
        generator = SceneGenerator(config.physics, config.data, device)
        torch.manual_seed(config.training.seed)
        network, objective = Network(config).to(device), Objective.of(config, device)
        scenes = generator.scenes("validation", 0, config.validation.scenes)
        nmse_self_test(label_covariance(config.physics, scenes.truth))
        confusions = LastConfusions()
        validator = replace(Validator.of(config, scenes), tell=confusions.see)
        setup = TrainSetup(
            network,
            part_of,
            objective,
            lambda network, plan: validator(network, plan.beta, ValidationLoss(objective, plan)),
            objective.balance,
        )
        start = None if warm is None else warm.state
        cut = {"training.accumulation": config.training.accumulation * machine.pieces}
        trainer = build_trainer(config.replace(cut), setup, generator, warm=start, resumed=resumed)
        return cls(described, machine, trainer, scenes, confusions)

    def fit(
        self, folder: RunFolder, store: CheckpointStore, console: Console, callbacks: Callbacks
    ) -> Outcome:
        """Train to the end with recorders, guards and checkpoints."""
        trainer, plans = self.trainer, folder.plans()
        journal = folder.open_journal()
        guards = (*standard_guards(trainer, plans, journal, self._idle()), self._leak_guard())
        guard = GuardCallback(guards)
        recorders: tuple[Callback, ...] = (
            Recorder(journal, guard.values, confusions=self.confusions),
            view(console, plans, self.config.data.sources_max),
            *callbacks.recorders,
        )
        checkpoints = CheckpointCallback(store, config_tree(self.config), trainer.state)
        enders = self._enders(plans, journal.spent_s)
        with SignalCallback() as signals:
            own = callback_order(
                guard, recorders, checkpoints, [*enders, *callbacks.enders, signals]
            )
            ordered = [*callbacks.first, *map(callbacks.write_guard, own)]
            return run_loop(trainer, ordered, folder.run_id, callbacks.write_guard(folder.close))

    def _idle(self) -> tuple[str, ...]:
        """Prefixes of parameters without a use under this configuration."""
        last = self.trainer.plans[-1].active
        shaped = bool(last.keys() - {"count", "pointers", "existence", "found", "heat"})
        ranged = shaped and self.config.factors.lambda_range > 0.0
        located = shaped or "existence" in last
        counted = self.config.data.sources_max > 1
        idle = {
            "found.": "found" in last,
            "factors.doubt.": ranged,
            "factors.power.": shaped,
            "factors.columns.": shaped,
            "factors.existence.": located,
            "count.": counted,
        }
        return tuple(name for name, used in idle.items() if not used)

    def _leak_guard(self) -> Guard:
        """Compare the streams, and some drawn scenes, of training, validation and calibration."""
        config, batches = self.config, self.trainer.batches
        seed, training = config.data.seed, config.training
        epochs = 1 if training.repeat else len(self.trainer.plans)
        calibrated = config.validation.calibration_scenes

        def train_marks() -> Iterator[bytes]:
            yield from stream_marks(seed, "train", epochs * len(batches) * training.batch)
            yield from batch_marks(batches, epochs)

        def validation_marks() -> Iterator[bytes]:
            yield from stream_marks(seed, "validation", len(self.validation_scenes))
            yield from scene_marks(self.validation_scenes)

        def calibration_marks() -> Iterator[bytes]:
            yield from stream_marks(seed, "calibration", calibrated)
            count = min(calibrated, BLOCK)
            yield from scene_marks(calibration_scenes(config, self.machine.device, count))

        return LeakGuard(
            {
                "training": train_marks,
                "validation": validation_marks,
                "calibration": calibration_marks,
            }
        )

    def _enders(self, plans: Sequence[Plan], spent_s: float) -> list[Callback]:
        enders: list[Callback] = []
        if self.config.training.patience is not None:
            enders.append(EarlyStopping(self.config.training.patience, plans[-1].phase))
        if self.machine.time_limit_s is not None:
            enders.append(TimeBudget(self.machine.time_limit_s, spent_s))
        return enders


def calibrate(
    checkpoint: Checkpoint, config: RunConfig, device: torch.device
) -> tuple[Checkpoint, Calibration]:
    """Fit the temperature of the count for these weights, on scenes of no other use."""
    network = network_of(replace(checkpoint, temperature=None), config, device)
    observe = Observer.of(config)
    scenes = calibration_scenes(config, device, config.validation.calibration_scenes)
    logits = []
    with torch.no_grad():
        for start in range(0, len(scenes), _BATCH):
            observation = observe(scenes[start : start + _BATCH].frames)
            logits.append(network(observation, checkpoint.beta).count_logits)
    calibration = Calibration.of(network.law, torch.cat(logits), scenes.truth.count)
    return replace(checkpoint, temperature=calibration.temperature), calibration


def calibration_scenes(config: RunConfig, device: torch.device, scenes: int) -> Scenes:
    """The first calibration scenes; no run trains or is validated on them."""
    return SceneGenerator(config.physics, config.data, device).scenes("calibration", 0, scenes)
