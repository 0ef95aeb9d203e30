"""Runs as the tests of training need them: real scenes, few weights, any objective."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache

import torch
from torch import Tensor, nn

from risexp.callbacks.guards import EpochGuard, GuardCallback
from risexp.config.layers import load_config
from risexp.config.learning import LossWeights
from risexp.config.run import RunConfig
from risexp.config.training import Part
from risexp.data.frames import Frames, Scenes
from risexp.data.scenes import SceneGenerator
from risexp.training.checkpoint import Checkpoint, State, config_tree
from risexp.training.events import EpochEnded, Event
from risexp.training.plan import Plan
from risexp.training.replay import BatchObjective
from risexp.training.setup import TrainSetup, build_trainer
from risexp.training.trainer import KeyedBatches, Trainer, Validate

TERMS = tuple(LossWeights.model_fields)
CPU = torch.device("cpu")


EVENTFUL: dict[str, object] = {
    "training__epochs": 5,
    "training__accumulation": 2,
    "curriculum__phase": "three-phase",
    "curriculum__count_ramp": 2,
    "beta__final": 0.3,
    "beta__jitter": 0.05,
}
"""A run in which everything changes from epoch to epoch."""


class Small(nn.Module):
    """One number a term from the measurements, with dropout and a buffer on the way."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Linear(256, 8)
        self.left_out = nn.Dropout(0.2)
        self.heads = nn.Linear(8, len(TERMS))
        self.seen = nn.Buffer(torch.zeros((), dtype=torch.int64))

    def forward(self, frames: Frames) -> Tensor:
        y = torch.view_as_real(frames.normalised()[0].y).flatten(1)
        if self.training:
            self.seen.add_(len(frames))
        answer: Tensor = self.heads(self.left_out(self.backbone(y).tanh()))
        return answer


@dataclass(frozen=True)
class SmallLoss:
    total: Tensor
    terms: Mapping[str, Tensor]
    weighted: Mapping[str, Tensor]


def small_loss(network: nn.Module, scenes: Scenes, plan: Plan) -> SmallLoss:
    """Each term is the squared error of its own number: of the count, or of a multiple of it."""
    answer = network(scenes.frames)
    terms = {
        name: (answer[:, TERMS.index(name)] - scenes.truth.count / (1 + TERMS.index(name)))
        .square()
        .mean()
        for name in plan.active
    }
    return summed(terms, plan.active)


def summed(terms: Mapping[str, Tensor], weights: Mapping[str, float]) -> SmallLoss:
    weighted = {name: weights[name] * term for name, term in terms.items()}
    return SmallLoss(torch.stack(list(weighted.values())).sum(), terms, weighted)


def scored(network: nn.Module, plan: Plan) -> Mapping[str, float]:
    """The loss on scenes that no training sees, under three names; the smaller the better."""
    device = next(network.parameters()).device
    loss = float(small_loss(network, validation_scenes(device), plan).total)
    return {
        "k_loc": loss,
        "success_rate": 1.0 / (1.0 + loss),
        "loss": loss,
        "range_rmse": torch.nan,
    }


@cache
def validation_scenes(device: torch.device) -> Scenes:
    config = small_config()
    return SceneGenerator(config.physics, config.data, device).scenes("validation", 0, 64)


def small_config(**changes: object) -> RunConfig:
    """Three epochs of four batches on the smallest panel; `a__b=c` changes the field a.b."""
    small = {
        "training.epochs": 3,
        "training.batch": 16,
        "training.scenes_per_epoch": 64,
        "training.ema_decay": 0.9,
        "training.optimizer.lr": 0.02,
    }
    named = {name.replace("__", "."): value for name, value in changes.items()}
    return load_config(preset="smoke").config.replace(small | named)


def part_of(name: str) -> Part:
    return "heads" if name.startswith("heads") else "backbone"


def small_network(device: torch.device = CPU) -> Small:
    torch.manual_seed(5)
    return Small().to(device)


def small_trainer(
    config: RunConfig | None = None,
    *,
    objective: BatchObjective = small_loss,
    validate: Validate = scored,
    batches: Callable[[KeyedBatches], KeyedBatches] = lambda batches: batches,
    device: torch.device = CPU,
    warm: State | None = None,
    resumed: State | None = None,
    network: nn.Module | None = None,
    balance: nn.Module | None = None,
) -> Trainer:
    """A trainer of the small network, with the parts that a test changes."""
    config = config or small_config()
    lesson = TrainSetup(
        network=network or small_network(device),
        part_of=part_of,
        objective=objective,
        validate=validate,
        balance=balance or nn.Identity(),
    )
    generator = SceneGenerator(config.physics, config.data, device)
    trainer = build_trainer(config, lesson, generator, warm=warm, resumed=resumed)
    return replace(trainer, batches=batches(trainer.batches))


def epochs_of(trainer: Trainer) -> list[EpochEnded]:
    """The ends of all epochs of a run."""
    return list(ended(trainer.run()))


def guarded_epochs(trainer: Trainer) -> list[EpochEnded]:
    """The ends of epochs under the epoch guard, which ends a run as it does in `risexp train`."""
    watch, epochs = GuardCallback([EpochGuard(trainer.recipe.limits)]), list[EpochEnded]()
    for event in ended(trainer.run()):
        watch(event)
        epochs.append(event)
        watch.enforce(event)
    return epochs


def ended(events: Iterator[Event]) -> Iterator[EpochEnded]:
    """The ends of epochs, each while the run stands there."""
    return (event for event in events if isinstance(event, EpochEnded))


@dataclass(frozen=True)
class Poisoned:
    """Batches of which some are spoiled, by (epoch, batch), on every look at them."""

    sound: KeyedBatches
    where: frozenset[tuple[int, int]]
    poison: Callable[[Scenes], Scenes]

    def __len__(self) -> int:
        return len(self.sound)

    def epoch(self, epoch: int, /) -> Iterator[Scenes]:
        return (self.scenes(epoch, batch) for batch in range(len(self)))

    def scenes(self, epoch: int, batch: int, /) -> Scenes:
        scenes = self.sound.scenes(epoch, batch)
        return self.poison(scenes) if (epoch, batch) in self.where else scenes


def with_first_value(value: float) -> Callable[[Scenes], Scenes]:
    """A poison: the first number of the first scene is this one."""

    def poison(scenes: Scenes) -> Scenes:
        y = scenes.frames.y.clone()
        y[0, 0, 0] = value
        return Scenes(replace(scenes.frames, y=y), scenes.truth)

    return poison


def checkpoint_of(trainer: Trainer, ended: EpochEnded, run_id: str = "run-1") -> Checkpoint:
    """The checkpoint a run would keep after an epoch."""
    return Checkpoint(
        run_id=run_id,
        config=config_tree(small_config()),
        plan=ended.plan,
        scores=ended.scores,
        state=trainer.state(),
    )


def checkpoints(epochs: int = 4, run_id: str = "run-1") -> list[Checkpoint]:
    """One checkpoint after every epoch of a run."""
    trainer = small_trainer(small_config(training__epochs=epochs))
    return [checkpoint_of(trainer, each, run_id) for each in ended(trainer.run())]


def same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    """Whether two sets of tensors are equal bit for bit."""
    return one.keys() == other.keys() and all(
        each.dtype == other[name].dtype and torch.equal(each, other[name])
        for name, each in one.items()
    )


def same_state(one: State, other: State) -> bool:
    """Whether two runs stand at the very same place."""
    return (
        same(one.weights, other.weights)
        and same(one.averaged, other.averaged)
        and same(one.balance, other.balance)
        and same(one.optimizer, other.optimizer)
        and one.progress == other.progress
        and one.seed == other.seed
    )
