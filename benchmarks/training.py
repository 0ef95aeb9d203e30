"""How fast a network trains, where the time goes, and what factors save of it, in one run.

    python benchmarks/training.py [--preset small] [--set FIELD=VALUE] [--batches N] [--threads N]

The parts are timed one after another on the same batches; shares are of their sum. The dense twin
does the covariance part of a step as a system without factors would: whole matrices blended, their
error, their eigenvalues, and the way back.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice

import torch
from dense_twins import dense, tight_nmse
from torch import Tensor

from risexp.config.layers import load_config
from risexp.config.run import RunConfig
from risexp.covariance.effective import effective
from risexp.covariance.factored import FactoredCovariance
from risexp.data.scenes import SceneGenerator
from risexp.evaluation.validation import Validator
from risexp.loss.target import Target
from risexp.model.network import Network, part_of
from risexp.training.curriculum import curriculum
from risexp.training.objective import Objective, ValidationLoss
from risexp.training.setup import TrainSetup, build_trainer
from risexp.training.trainer import Trainer

DENSE_SCENES = 64


@dataclass
class Clock:
    """Seconds by part, batch by batch."""

    seconds: dict[str, list[float]] = field(default_factory=dict)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Note what is done inside under this name."""
        started = time.perf_counter()
        yield
        self.seconds.setdefault(name, []).append(time.perf_counter() - started)

    def median(self, part: str) -> float:
        """Seconds of a batch."""
        return statistics.median(self.seconds[part])


def main() -> None:
    """Print the parts, the rate, and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="small")
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--batches", type=int, default=24)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    config = load_config(preset=given.preset, overrides=given.set).config
    trainer, validator = prepared(config)
    clock = parts(config, trainer, given.batches)
    whole = sum(clock.median(part) for part in clock.seconds)
    print(
        f"config {config.sha()[:12]}, batches of {config.training.batch}, {given.threads} threads"
    )
    batch = config.training.batch
    for part in clock.seconds:
        seconds = clock.median(part)
        each = 1e3 * seconds / batch
        print(f"{part:10} {each:7.3f} ms a scene  {seconds / whole:5.1%}")
    print(f"{'step':10} {batch / whole:7.0f} scenes/s without validation")
    print_epoch(config, trainer, validator, whole)
    print_ratio(config)


def prepared(config: RunConfig) -> tuple[Trainer, Validator]:
    """A trainer with everything that the configuration asks for, and its validator."""
    generator = SceneGenerator(config.physics, config.data)
    torch.manual_seed(config.training.seed)
    teacher = Objective.of(config)
    validator = Validator.of(config, generator.scenes("validation", 0, config.validation.scenes))
    lesson = TrainSetup(
        Network(config),
        part_of,
        teacher,
        lambda network, plan: validator(network, plan.beta, ValidationLoss(teacher, plan)),
        teacher.balance,
    )
    return build_trainer(config, lesson, generator), validator


def parts(config: RunConfig, trainer: Trainer, batches: int) -> Clock:
    """Time every part of a step on fresh batches."""
    clock, teacher, plan = Clock(), Objective.of(config), curriculum(config)[-1]
    generator = SceneGenerator(config.physics, config.data)
    walk = generator.batches("train", config.training.batch)
    network = trainer.network.train()
    with trainer.stepper.epoch(plan, batches):
        for batch in range(batches):
            with clock.part("scenes"):
                scenes = next(walk)
            with clock.part("observe"):
                seen = teacher.observe(scenes.frames)
            with clock.part("network"):
                answer = network(seen, plan.beta)
            with clock.part("loss"):
                loss = teacher.mark(answer, seen, scenes, plan)
            with clock.part("backward"):
                torch.autograd.backward(loss.total)
            with clock.part("update"):
                trainer.stepper.step(loss.total.detach(), batch)
    return clock


def print_epoch(config: RunConfig, trainer: Trainer, validator: Validator, step_s: float) -> None:
    """The rate of whole epochs, validation with real localisation included."""
    plan, teacher = curriculum(config)[-1], Objective.of(config)
    started = time.perf_counter()
    validator(trainer.network, plan.beta, ValidationLoss(teacher, plan))
    judged = time.perf_counter() - started
    steps = config.training.scenes_per_epoch // config.training.batch
    scenes = steps * config.training.batch
    rate = scenes / (steps * step_s + judged)
    print(
        f"{'epoch':10} {rate:7.0f} scenes/s, validation of {config.validation.scenes} scenes within"
    )


def print_ratio(config: RunConfig) -> None:
    """Factored against dense: the blend, its error, its eigenvalues, and the gradient of both."""
    generator = SceneGenerator(config.physics, config.data)
    scenes = next(iter(islice(generator.batches("train", DENSE_SCENES), 1)))
    teacher, torch_network = Objective.of(config), Network(config)
    seen = teacher.observe(scenes.frames)
    target = Target.of(generator.panel, scenes.truth, seen.snr_db, 1e-3)
    factor = torch_network(seen, 0.0).predicted.factor.detach().requires_grad_()
    sampled = seen.sampled

    def factored() -> None:
        blend = effective(FactoredCovariance.from_factor(factor), seen.snr_db, sampled, 0.3)
        descend(blend.nmse(target.effective), blend.eigenvalues(), factor)

    whole, label = dense(sampled), dense(target.effective)

    def as_matrices() -> None:
        own = factor @ factor.mH
        scale = own.diagonal(dim1=-2, dim2=-1).real.sum(-1) / own.shape[-1]
        eye = torch.eye(own.shape[-1], dtype=own.dtype)
        blend = 0.7 * own / scale[:, None, None] + 0.3 * whole + 1e-3 * eye
        descend(tight_nmse(blend, label), torch.linalg.eigvalsh(blend), factor)

    ours, theirs = seconds_of(factored), seconds_of(as_matrices)
    print(
        f"covariance {1e3 * ours / DENSE_SCENES:7.3f} ms a scene factored, "
        f"{1e3 * theirs / DENSE_SCENES:.3f} dense: {theirs / ours:.1f} times"
    )


def descend(error: Tensor, eigenvalues: Tensor, factor: Tensor) -> None:
    """The way back through both."""
    torch.autograd.grad(error.sum() + eigenvalues.clamp(min=1e-6).log().sum(), factor)


def seconds_of(work: Callable[[], None], times: int = 7) -> float:
    """The median of some calls, after one that warms up."""
    work()
    clock = Clock()
    for _ in range(times):
        with clock.part("all"):
            work()
    return clock.median("all")


if __name__ == "__main__":
    main()
