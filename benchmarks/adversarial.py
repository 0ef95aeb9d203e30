"""Train twenty thousand steps with poisoned batches: each must be refused, and no weight lost.

    python benchmarks/adversarial.py [--steps 20000] [--every 40]

One batch in `--every` is poisoned, in turn: NaN, infinity, silence, powers beyond the range of
single precision, a dead channel, all sources in one place.
"""

import argparse
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import Module

from risexp.config.layers import load_config
from risexp.config.run import RunConfig
from risexp.data.frames import Frames, Scenes, Truth
from risexp.data.scenes import SceneGenerator
from risexp.model.network import Network, part_of
from risexp.training.events import EpochEnded
from risexp.training.objective import Objective
from risexp.training.plan import Plan
from risexp.training.setup import TrainSetup, build_trainer
from risexp.training.trainer import KeyedBatches

BATCH, EPOCHS = 8, 20


def spoiled(frames: Frames, value: float) -> Frames:
    """One value of the first scene replaced."""
    y = frames.y.clone()
    y[0, 0, 0] = value
    return replace(frames, y=y)


def together(truth: Truth) -> Truth:
    """Move every source to the first one."""
    places = {
        name: getattr(truth, name)[:, :1].where(truth.present, torch.nan)
        for name in ("phi_rad", "theta_rad", "range_m")
    }
    return replace(truth, **places)


POISONS: Mapping[str, Callable[[Scenes], Scenes]] = {
    "no number": lambda scenes: Scenes(spoiled(scenes.frames, torch.nan), scenes.truth),
    "infinite": lambda scenes: Scenes(spoiled(scenes.frames, torch.inf), scenes.truth),
    "silent": lambda scenes: Scenes(
        replace(scenes.frames, y=torch.zeros_like(scenes.frames.y)), scenes.truth
    ),
    "too loud": lambda scenes: Scenes(
        replace(scenes.frames, y=scenes.frames.y * 1e25), scenes.truth
    ),
    "dead channel": lambda scenes: Scenes(
        replace(scenes.frames, channel=torch.zeros_like(scenes.frames.channel)), scenes.truth
    ),
    "in one place": lambda scenes: Scenes(scenes.frames, together(scenes.truth)),
}


@dataclass(frozen=True)
class Poisoned:
    """Batches with one poisoned in `every`, each kind in turn."""

    sound: KeyedBatches
    every: int

    def __len__(self) -> int:
        return len(self.sound)

    def epoch(self, epoch: int) -> Iterator[Scenes]:
        """All batches of an epoch."""
        return (
            self.treated(epoch, batch, scenes)
            for batch, scenes in enumerate(self.sound.epoch(epoch))
        )

    def scenes(self, epoch: int, batch: int) -> Scenes:
        """One batch of an epoch."""
        return self.treated(epoch, batch, self.sound.scenes(epoch, batch))

    def poison(self, epoch: int, batch: int) -> str | None:
        """The kind of poison in a batch, if any."""
        turn, rest = divmod((epoch - 1) * len(self) + batch, self.every)
        return [*POISONS][turn % len(POISONS)] if rest == self.every - 1 else None

    def treated(self, epoch: int, batch: int, scenes: Scenes) -> Scenes:
        """A batch, poisoned in its turn."""
        poison = self.poison(epoch, batch)
        return scenes if poison is None else POISONS[poison](scenes)


def no_validation(_network: Module, _plan: Plan) -> Mapping[str, float]:
    """Replace the validation: only steps count here."""
    return {"k_loc": 0.0}


def main() -> None:
    """Print the refused steps with their reasons, and the number of weights that are not finite."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--every", type=int, default=40)
    options = parser.parse_args()
    torch.set_num_threads(1)
    config = configured(options.steps)
    generator = SceneGenerator(config.physics, config.data)
    torch.manual_seed(config.training.seed)
    network, objective = Network(config), Objective.of(config)
    trainer = build_trainer(
        config, TrainSetup(network, part_of, objective, no_validation), generator
    )
    batches = Poisoned(trainer.batches, options.every)
    trainer.batches = batches
    trainer.recipe = replace(trainer.recipe, replays=options.steps)
    refused: Counter[str] = Counter()
    taken = 0
    for event in trainer.run():
        if isinstance(event, EpochEnded):
            taken += event.steps.taken
            for step in event.refused:
                poison = batches.poison(event.plan.epoch, step.batch)
                refused[f"{poison}: {', '.join(step.terms) or step.reason}"] += 1
    print(f"config {config.sha()[:12]}: {taken} steps taken, {refused.total()} refused")
    for what, times in sorted(refused.items()):
        print(f"{times:6}  {what}")
    print(f"{unsound(network)} weights are not finite")


def configured(steps: int) -> RunConfig:
    """A small network and few scenes a step."""
    scenes = BATCH * (steps // EPOCHS)
    return load_config(preset="smoke").config.replace(
        {
            "training.epochs": EPOCHS,
            "training.batch": BATCH,
            "training.scenes_per_epoch": scenes,
            "beta.final": 0.3,
            "loss.subspace": 0.1,
            "loss.eigengap": 0.1,
            "loss.peak_contrast": 0.1,
        }
    )


def unsound(network: Module) -> int:
    """Number of weights that are not finite."""
    weights: list[Tensor] = list(network.parameters())
    return sum(int((~weight.isfinite()).sum()) for weight in weights)


if __name__ == "__main__":
    main()
