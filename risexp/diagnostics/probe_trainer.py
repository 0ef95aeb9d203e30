"""Short runs of the very loop that trains, for probes that ask whether anything is learned."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from torch.nn import Module

from risexp.config.run import RunConfig
from risexp.data.frames import Frames, Scenes
from risexp.data.scenes import SceneGenerator
from risexp.diagnostics.checks import Requirement
from risexp.errors import TrainingAborted
from risexp.model.network import Network, part_of
from risexp.model.observation import Observation
from risexp.training.events import EpochEnded
from risexp.training.loss_meter import HasLoss
from risexp.training.objective import Objective
from risexp.training.plan import Plan
from risexp.training.replay import BatchObjective
from risexp.training.setup import TrainSetup, build_trainer
from risexp.training.trainer import Trainer, Validate

_LARGEST_BATCH: Final = 64
_LEAST_BATCHES: Final = 4
"""Of an epoch: a loop that steps once an epoch must be seen to."""

Scores = Mapping[str, float]


@dataclass(frozen=True)
class ProbeTrainer:
    """The code that learns; a part of it may be replaced, to see whether a probe notices."""

    network: Callable[[RunConfig], Module] = Network
    teacher: Callable[[RunConfig], Objective] = Objective.of
    trainer: Callable[[RunConfig, TrainSetup, SceneGenerator], Trainer] = build_trainer

    def begun(self, config: RunConfig) -> Module:
        """A network as a run of this configuration starts with it."""
        with drawing(config.training.seed):
            return self.network(config)

    def taught(
        self,
        config: RunConfig,
        lesson: TrainSetup,
        enough: Callable[[EpochEnded], bool] = lambda _: False,
    ) -> "ShortRun":
        """Train until it is enough, the plans are over, or a guard gives the run up.

        Args:
            config: A run; `brief` makes short ones.
            lesson: What is trained, and how it is judged.
            enough: Whether a run that has come so far may end early.
        """
        ended: list[EpochEnded] = []
        with drawing(config.training.seed):
            generator = SceneGenerator(config.physics, config.data)
            trainer = self.trainer(config, lesson, generator)
            try:
                for event in trainer.run():
                    if isinstance(event, EpochEnded):
                        ended.append(event)
                        if enough(event):
                            break
            except TrainingAborted as error:
                return ShortRun(trainer, tuple(ended), f"{error.guard}: {error.reason}")
        return ShortRun(trainer, tuple(ended), None)


@dataclass(frozen=True)
class ShortRun:
    """A short run, and what became of it."""

    trainer: Trainer
    epochs: tuple[EpochEnded, ...]
    aborted: str | None
    """What the guard said that gave the run up, if one did."""

    @property
    def network(self) -> Module:
        """The network as it was judged."""
        return self.trainer.stepper.average.module

    @property
    def scores(self) -> Scores:
        """Of the last epoch; none where no epoch came to its end."""
        return self.epochs[-1].scores if self.epochs else {}

    @property
    def taken(self) -> int:
        """Optimizer steps taken."""
        return sum(epoch.steps.taken for epoch in self.epochs)

    @property
    def due(self) -> int:
        """Steps that its epochs should have taken."""
        return len(self.epochs) * len(self.trainer.batches)

    def step_check(self, due: int | None = None) -> Requirement:
        """That every batch was a step; if not, in the words of whoever refused them.

        Args:
            due: How many steps are wanted, where the run may have ended before them.
        """
        wanted = self.due if due is None else due
        refusals = [each.sentence() for epoch in self.epochs for each in epoch.refused]
        reasons = [*refusals[:1], *([] if self.aborted is None else [self.aborted])]
        why = f" ({'; '.join(reasons)})" if reasons else ""
        return Requirement(
            "optimizer steps taken",
            self.taken,
            f">= {wanted}",
            self.aborted is None and 0 < self.taken >= wanted,
            f"{self.taken} of {wanted} optimizer steps were taken{why}: take one for every batch, "
            "inside the loop over batches, and mend what leaves no gradient to step by.",
        )


@dataclass(frozen=True)
class CachedObjective:
    """An objective that looks at each batch once, however often it is marked."""

    teacher: Objective
    _seen: dict[tuple[int, int], tuple[Frames, Observation]] = field(default_factory=dict)

    def __call__(self, network: Module, scenes: Scenes, plan: Plan) -> HasLoss:
        """The loss of a network on scenes that it will see again."""
        observation = self.observation(scenes.frames)
        return self.teacher.mark(network(observation, plan.beta), observation, scenes, plan)

    def observation(self, frames: Frames) -> Observation:
        """What a network is given of frames; they are kept, so that no others take their place."""
        key = frames.y.data_ptr(), len(frames)
        if key not in self._seen:
            self._seen[key] = frames, self.teacher.observe(frames)
        return self._seen[key][1]


def lesson_of(
    network: Module, teacher: Objective, objective: BatchObjective, validate: Validate
) -> TrainSetup:
    """A lesson in which the teacher's balance is learned too."""
    return TrainSetup(network, part_of, objective, validate, teacher.balance)


def pieces(scenes: int) -> tuple[int, int]:
    """Size and number of the batches of an epoch; as many as make a step of each of them tell."""
    batches = max(min(_LEAST_BATCHES, scenes), scenes // _LARGEST_BATCH)
    return scenes // batches, batches


def milestones(epochs: Sequence[EpochEnded]) -> list[EpochEnded]:
    """The epochs 1, 2, 4, 8, .. and the last one: enough to see a curve."""
    shown = {1 << power for power in range(20)} | {len(epochs)}
    return [each for each in epochs if each.plan.epoch in shown]


def brief(epochs: int, batch: int, batches: int, rate: float) -> dict[str, Any]:
    """What is changed of a configuration for a short run: the optimizer is the probe's own.

    AdamW without decay, with one rate for all parts; nothing is averaged, compiled, ramped or
    started from elsewhere, and no part is frozen.
    """
    return {
        "training.epochs": epochs,
        "training.batch": batch,
        "training.scenes_per_epoch": batch * batches,
        "training.accumulation": 1,
        "training.repeat": True,
        "training.compile": False,
        "training.ema_decay": None,
        "training.selection": "loss",
        "training.optimizer.lr": rate,
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


def at_once(config: RunConfig) -> dict[str, Any]:
    """What is changed of a configuration for a run of one epoch, in which nothing can follow.

    Beta has its final value, with which such a run is judged; three phases become the joint one.
    """
    phase = config.curriculum.phase
    return {
        "beta.start": config.beta.final,
        "curriculum.phase": "joint" if phase == "three-phase" else phase,
    }


@contextmanager
def drawing(seed: int) -> Iterator[None]:
    """Random numbers from a seed for a while; whoever draws afterwards does not notice."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
