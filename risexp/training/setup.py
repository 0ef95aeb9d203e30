"""From a configuration to a trainer: the one place where its values become the trainer's."""

from collections.abc import Callable
from dataclasses import dataclass, field

from torch.nn import Identity, Module

from risexp.config.run import RunConfig
from risexp.config.training import Part, TrainingConfig
from risexp.data.scenes import SceneGenerator
from risexp.errors import CheckpointRefused
from risexp.training.average import Average
from risexp.training.batches import Batches, KeyedBatches, RepeatedBatches
from risexp.training.curriculum import curriculum
from risexp.training.epoch_checks import Limits
from risexp.training.optimizer import StepRule
from risexp.training.param_groups import parts_of
from risexp.training.replay import BatchObjective
from risexp.training.schedule import Schedule
from risexp.training.state import State, restore
from risexp.training.stepper import Stepper
from risexp.training.trainer import Recipe, Trainer, Validate


@dataclass(frozen=True)
class TrainSetup:
    """What is trained, towards what, and how it is judged."""

    network: Module
    part_of: Callable[[str], Part]
    """Which part a parameter belongs to, by its name."""
    objective: BatchObjective
    validate: Validate
    balance: Module = field(default_factory=Identity)
    """What the objective learns itself, e.g. how its terms are weighed; trained with the heads."""


def build_trainer(
    config: RunConfig,
    lesson: TrainSetup,
    generator: SceneGenerator,
    *,
    warm: State | None = None,
    resumed: State | None = None,
) -> Trainer:
    """The trainer a configuration describes.

    Args:
        config: The run.
        lesson: Network and functions, on the generator's device.
        generator: Draws the training scenes.
        warm: Another run's state, whose averaged weights this one starts from.
        resumed: This run's own state, from which it goes on.

    Raises:
        CheckpointRefused: The configuration names a warm start and none is given, or a given state
            does not fit.
    """
    if config.curriculum.warm_start is not None and warm is None and resumed is None:
        raise CheckpointRefused(
            f"curriculum.warm_start = {config.curriculum.warm_start!r} was not loaded: the run "
            "would start from random weights"
        )
    if warm is not None:
        restore(lesson.network.state_dict(), warm.averaged, "averaged weights")
    batches = batches_of(config.training, generator)
    plans = curriculum(config)
    trainer = Trainer(
        network=lesson.network,
        balance=lesson.balance,
        objective=lesson.objective,
        validate=lesson.validate,
        batches=batches,
        plans=plans,
        stepper=_stepper(config.training, lesson, len(plans) * len(batches)),
        recipe=recipe_of(config),
    )
    if resumed is not None:
        trainer.resume(resumed)
    return trainer


def batches_of(training: TrainingConfig, generator: SceneGenerator) -> KeyedBatches:
    """The batches of a run; scenes that do not fill the last batch of an epoch come in the next."""
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


def _stepper(training: TrainingConfig, lesson: TrainSetup, steps: int) -> Stepper:
    return Stepper(
        modules=(lesson.network, lesson.balance),
        parts=parts_of(lesson.network, lesson.part_of, lesson.balance),
        rule=StepRule.of(training.optimizer),
        schedule=Schedule.of(training.optimizer, steps),
        average=Average(lesson.network, training.ema_decay),
    )
