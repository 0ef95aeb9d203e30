"""From a configuration to a trainer: the one place where its values become the trainer's."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from torch.nn import Identity, Module

from risexp.config.run import RunConfig
from risexp.config.training import Part, TrainingConfig
from risexp.data.frames import Scenes
from risexp.data.scenes import SceneGenerator
from risexp.errors import CheckpointRefused
from risexp.training.checkpoint import State, restore
from risexp.training.curriculum import curriculum
from risexp.training.epoch_checks import Limits
from risexp.training.optimizer import Average, Schedule, StepRule, parts_of
from risexp.training.replay import BatchObjective
from risexp.training.stepper import Stepper
from risexp.training.trainer import KeyedBatches, Recipe, Trainer, Validate


@dataclass(frozen=True)
class TrainSetup:
    """What is trained, by which objective, and how it is validated."""

    network: Module
    part_of: Callable[[str], Part]
    """Gives the part of a parameter by its name."""
    objective: BatchObjective
    validate: Validate
    balance: Module = field(default_factory=Identity)
    """What the objective learns itself, e.g. how its terms are weighed; trained with the heads."""


@dataclass(frozen=True)
class Batches:
    """Consecutive scenes of the training stream: epoch after epoch without end, none seen twice."""

    generator: SceneGenerator
    size: int
    count: int

    def __len__(self) -> int:
        return self.count

    def epoch(self, epoch: int) -> Iterator[Scenes]:
        """The batches of an epoch, counted from 1; every block of scenes is drawn once."""
        walk = self.generator.batches("train", self.size, self._start(epoch, 0))
        return islice(walk, self.count)

    def scenes(self, epoch: int, batch: int) -> Scenes:
        """One batch of an epoch, counted from 0."""
        return self.generator.scenes("train", self._start(epoch, batch), self.size)

    def _start(self, epoch: int, batch: int) -> int:
        return ((epoch - 1) * self.count + batch) * self.size


@dataclass(frozen=True)
class RepeatedBatches:
    """The batches of the first epoch in every epoch, drawn once and kept, to overfit them."""

    first: Batches
    _kept: list[Scenes] = field(default_factory=list, compare=False)

    def __len__(self) -> int:
        return len(self.first)

    def epoch(self, epoch: int) -> Iterator[Scenes]:
        """The batches of the first epoch, in any epoch."""
        return (self.scenes(epoch, batch) for batch in range(len(self)))

    def scenes(self, epoch: int, batch: int) -> Scenes:
        """One batch of the first epoch, counted from 0."""
        del epoch
        if not self._kept:
            self._kept.extend(self.first.epoch(1))
        return self._kept[batch]


def build_trainer(
    config: RunConfig,
    setup: TrainSetup,
    generator: SceneGenerator,
    *,
    warm: State | None = None,
    resumed: State | None = None,
) -> Trainer:
    """The trainer of a configuration, on the device of the generator.

    It starts from the averaged weights of another run (`warm`), or goes on where it stood.

    Raises:
        CheckpointRefused: The configuration names a warm start that is not here, or a state does
            not fit.
    """
    if config.curriculum.warm_start is not None and warm is None and resumed is None:
        raise CheckpointRefused(
            f"curriculum.warm_start = {config.curriculum.warm_start!r} was not loaded: the run "
            "would start from random weights"
        )
    if warm is not None:
        restore(setup.network.state_dict(), warm.averaged, "averaged weights")
    batches = batches_of(config.training, generator)
    plans = curriculum(config)
    trainer = Trainer(
        network=setup.network,
        balance=setup.balance,
        objective=setup.objective,
        validate=setup.validate,
        batches=batches,
        plans=plans,
        stepper=_stepper(config.training, setup, len(plans) * len(batches)),
        recipe=recipe_of(config),
    )
    if resumed is not None:
        trainer.resume(resumed)
    return trainer


def batches_of(training: TrainingConfig, generator: SceneGenerator) -> KeyedBatches:
    """The batches of a configuration."""
    batches = Batches(generator, training.batch, training.scenes_per_epoch // training.batch)
    return RepeatedBatches(batches) if training.repeat else batches


def recipe_of(config: RunConfig) -> Recipe:
    """What the loop itself takes from a configuration."""
    training = config.training
    fixed = config.loss.balance == "fixed" and config.loss.structure_share is None
    return Recipe(
        seed=training.seed,
        pieces=training.accumulation,
        selection=training.selection,
        limits=Limits(fixed_weights=fixed),
    )


def _stepper(training: TrainingConfig, setup: TrainSetup, steps: int) -> Stepper:
    return Stepper(
        modules=(setup.network, setup.balance),
        parts=parts_of(setup.network, setup.part_of, setup.balance),
        rule=StepRule.of(training.optimizer),
        schedule=Schedule.of(training.optimizer, steps),
        average=Average(setup.network, training.ema_decay),
    )
