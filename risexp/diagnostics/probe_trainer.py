"""Short runs of the real training loop, for probes that test whether a network learns."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from torch.nn import Module

from risexp.config.run import RunConfig
from risexp.config.training import TrainingConfig
from risexp.data.frames import Frames, Scenes
from risexp.data.scenes import SceneGenerator
from risexp.data.streams import Split
from risexp.diagnostics.report import Requirement
from risexp.errors import TrainingAborted
from risexp.model.network import Network, part_of
from risexp.model.observation import Observation
from risexp.training.epoch_checks import expect_sound
from risexp.training.events import EpochEnded
from risexp.training.meters import HasLoss
from risexp.training.objective import Objective
from risexp.training.plan import Plan
from risexp.training.replay import BatchObjective
from risexp.training.setup import TrainSetup, build_trainer
from risexp.training.trainer import Trainer, Validate

_LARGEST_BATCH: Final = 64
_LEAST_BATCHES: Final = 4
"""Of an epoch, so that a loop with one step an epoch is noticed."""
_LEAST_STEPS: Final = 1000
"""A shorter run is a rehearsal, and is judged as one of so many steps."""

CPU: Final = torch.device("cpu")

Scores = Mapping[str, float]


@dataclass(frozen=True)
class ProbeTrainer:
    """The code that trains; tests replace its parts with faulty ones."""

    network: Callable[[RunConfig], Module] = Network
    objective: Callable[[RunConfig, torch.device], Objective] = Objective.of
    trainer: Callable[[RunConfig, TrainSetup, SceneGenerator], Trainer] = build_trainer
    device: torch.device = CPU

    def fresh_network(self, config: RunConfig) -> Module:
        """The network that a run of this configuration starts with.

        It is compiled as configured on a GPU only: on a CPU compiling takes longer than the probe.
        """
        compiled = config.training.compile and self.device.type != "cpu"
        with seeded(config.training.seed):
            return self.network(config.replace({"training.compile": compiled})).to(self.device)

    def objective_of(self, config: RunConfig) -> Objective:
        """The objective of a configuration."""
        return self.objective(config, self.device)

    def scenes(self, config: RunConfig, split: Split, count: int) -> Scenes:
        """The first scenes of a split."""
        return self._generator(config).scenes(split, 0, count)

    def _generator(self, config: RunConfig) -> SceneGenerator:
        return SceneGenerator(config.physics, config.data, self.device)

    def train(
        self,
        config: RunConfig,
        setup: TrainSetup,
        enough: Callable[[EpochEnded], bool] = lambda _: False,
    ) -> "ShortRun":
        """Train until the last plan, an epoch that is `enough`, or a guard's abort."""
        ended: list[EpochEnded] = []
        with seeded(config.training.seed):
            trainer = self.trainer(config, setup, self._generator(config))
            try:
                for event in trainer.run():
                    if isinstance(event, EpochEnded):
                        ended.append(event)
                        if enough(event):
                            break
                        limits = trainer.recipe.limits
                        expect_sound(event.plan, event.steps, event.losses, limits)
            except TrainingAborted as error:
                return ShortRun(trainer, tuple(ended), f"{error.guard}: {error.reason}")
        return ShortRun(trainer, tuple(ended), None)


@dataclass(frozen=True)
class ShortRun:
    """A short run and its result."""

    trainer: Trainer
    epochs: tuple[EpochEnded, ...]
    aborted: str | None
    """The message of the guard that aborted the run."""

    @property
    def network(self) -> Module:
        """The averaged network, which was validated."""
        return self.trainer.stepper.average.module

    @property
    def scores(self) -> Scores:
        """Scores of the last epoch; empty if no epoch was completed."""
        return self.epochs[-1].scores if self.epochs else {}

    @property
    def taken(self) -> int:
        """Optimizer steps taken."""
        return sum(epoch.steps.taken for epoch in self.epochs)

    @property
    def due(self) -> int:
        """Steps that its epochs should take."""
        return len(self.epochs) * len(self.trainer.batches)

    def step_check(self, due: int | None = None) -> Requirement:
        """The requirement that every batch (or `due`) was a step, and why the first was refused."""
        due = self.due if due is None else due
        refusals = [refusal.sentence() for epoch in self.epochs for refusal in epoch.refused]
        reasons = [*refusals[:1], *([] if self.aborted is None else [self.aborted])]
        why = f" ({'; '.join(reasons)})" if reasons else ""
        return Requirement(
            "optimizer steps taken",
            self.taken,
            f">= {due}",
            self.aborted is None and 0 < self.taken >= due,
            f"{self.taken} of {due} optimizer steps were taken{why}: take one for every batch, "
            "inside the loop over batches, and fix what leaves no gradient to step by.",
        )


@dataclass(frozen=True)
class CachedObjective:
    """An objective that observes a batch once and scores it many times."""

    objective: Objective
    _seen: dict[tuple[int, int], tuple[Frames, Observation]] = field(default_factory=dict)

    def __call__(self, network: Module, scenes: Scenes, plan: Plan) -> HasLoss:
        """The loss of a network on known scenes."""
        observation = self.observation(scenes.frames)
        return self.objective.mark(network(observation, plan.beta), observation, scenes, plan)

    def observation(self, frames: Frames) -> Observation:
        """The observation of frames; they are kept, so that their memory is not reused."""
        key = frames.y.data_ptr(), len(frames)
        if key not in self._seen:
            self._seen[key] = frames, self.objective.observe(frames)
        return self._seen[key][1]


def train_setup(
    network: Module, objective: Objective, batch_objective: BatchObjective, validate: Validate
) -> TrainSetup:
    """A training setup in which the objective's balance is learned too."""
    return TrainSetup(network, part_of, batch_objective, validate, objective.balance)


def batch_sizes(scenes: int) -> tuple[int, int]:
    """Size and number of the batches of an epoch."""
    batches = max(min(_LEAST_BATCHES, scenes), scenes // _LARGEST_BATCH)
    return scenes // batches, batches


def probe_rate(training: TrainingConfig, own: float, steps: int) -> float:
    """A probe's own learning rate, or the configured one if it is larger, within the run's reach.

    Adam moves a weight by about lr a step. A short run stands for a whole one, so that its weights
    may move no farther than the lr * steps of the configured run.
    """
    lr = training.optimizer.lr
    due = max(training.epochs * (training.scenes_per_epoch // training.batch), _LEAST_STEPS)
    return min(max(own, lr), lr * max(due / steps, 1.0))


def milestones(epochs: Sequence[EpochEnded]) -> list[EpochEnded]:
    """The epochs 1, 2, 4, 8, .. and the last one."""
    shown = {1 << power for power in range(20)} | {len(epochs)}
    return [epoch for epoch in epochs if epoch.plan.epoch in shown]


def short_run_changes(
    training: TrainingConfig, epochs: int, batch: int, batches: int, rate: float
) -> dict[str, Any]:
    """Configuration changes for a short run at the probe's rate (`probe_rate`).

    AdamW without decay and one rate for all parts; no averaging, ramp, warm start or frozen part.
    """
    return {
        "training.epochs": epochs,
        "training.batch": batch,
        "training.scenes_per_epoch": batch * batches,
        "training.accumulation": 1,
        "training.repeat": True,
        "training.ema_decay": None,
        "training.selection": "loss",
        "training.optimizer.lr": probe_rate(training, rate, epochs * batches),
        "training.optimizer.head_factor": 1.0,
        "training.optimizer.weight_decay": 0.0,
        "training.optimizer.warmup_share": 0.05,
        "training.optimizer.final_share": 0.1,
        "training.optimizer.clip": 1.0,
        "curriculum.count_ramp": 0,
        "curriculum.structure_ramp": 0,
        "curriculum.count_backbone_lr": 1.0,
        "curriculum.warm_start": None,
    }


def one_epoch_changes(config: RunConfig) -> dict[str, Any]:
    """Configuration changes for a run of one epoch: beta is final, and three phases are joint."""
    phase = config.curriculum.phase
    return {
        "beta.start": config.beta.final,
        "curriculum.phase": "joint" if phase == "three-phase" else phase,
    }


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed the random numbers inside the block, and restore their state after it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
