"""The overfit probe: a network memorises the covariances of a few scenes of every count."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

import torch
from torch.nn import Module

from risexp.config.learning import LossWeights
from risexp.config.run import RunConfig
from risexp.data.frames import Scenes
from risexp.data.scenes import SceneGenerator
from risexp.diagnostics.probe_trainer import (
    CachedObjective,
    ProbeTrainer,
    ShortRun,
    batch_sizes,
    milestones,
    short_run_changes,
    train_setup,
)
from risexp.diagnostics.report import Report, Requirement, Table, checked_report
from risexp.training.events import EpochEnded
from risexp.training.objective import Objective
from risexp.training.plan import Plan

LIMIT: Final = 0.1
"""Largest NMSE of memorised scenes, at every count."""
_SETTLED: Final = 0.5 * LIMIT
"""NMSE of every count at which the run may end."""
_LEAST_EPOCHS: Final = 4
_RATE: Final = 2e-3

Errors = Mapping[int, float]


@dataclass(frozen=True)
class ByCount:
    """Scores the covariances of known scenes, for each number of sources."""

    cached: CachedObjective
    groups: Mapping[int, Scenes]

    @classmethod
    def of(cls, objective: Objective, scenes: Scenes) -> Self:
        """Group scenes by their count."""
        count = scenes.truth.count
        return cls(
            CachedObjective(objective),
            {
                sources: Scenes(scenes.frames[count == sources], scenes.truth[count == sources])
                for sources in sorted(set(count.tolist()))
            },
        )

    def __call__(self, network: Module, plan: Plan) -> dict[str, float]:
        """The mean error as `loss`, and the error of each count."""
        errors = self.errors(network, plan)
        total = sum(errors[count] * len(scenes) for count, scenes in self.groups.items())
        mean = total / sum(len(scenes) for scenes in self.groups.values())
        return {"loss": mean} | {_named(count): error for count, error in errors.items()}

    @torch.no_grad()
    def errors(self, network: Module, plan: Plan) -> dict[int, float]:
        """The error of each count."""
        return {
            count: float(self.cached(network, scenes, plan).terms["cov"])
            for count, scenes in self.groups.items()
        }


def probe_overfit(
    config: RunConfig, scenes: int = 512, epochs: int = 100, trainer: ProbeTrainer | None = None
) -> Report:
    """Train and validate on the same scenes, by the covariance alone and without samples.

    Scenes that do not fill the last batch are left out. The run ends early once every count is far
    below the limit.
    """
    trainer = trainer or ProbeTrainer()
    size, batches = batch_sizes(scenes)
    short = config.replace(
        short_run_changes(epochs, size, batches, _RATE)
        | {f"loss.{name}": 0.0 for name in LossWeights.model_fields}
        | {"loss.cov": 1.0, "loss.structure_share": None, "loss.balance": "fixed"}
        | {"beta.start": 0.0, "beta.final": 0.0, "beta.jitter": 0.0, "curriculum.phase": "joint"}
    )
    network, objective = trainer.fresh_network(short), trainer.objective(short)
    known = SceneGenerator(short.physics, short.data).scenes("train", 0, size * batches)
    judge = ByCount.of(objective, known)
    setup = train_setup(network, objective, CachedObjective(objective), judge)
    short_run = trainer.train(short, setup, _settled)
    return _report(judge, short_run)


def _settled(ended: EpochEnded) -> bool:
    worst = max(error for name, error in ended.scores.items() if name != "loss")
    return ended.plan.epoch >= _LEAST_EPOCHS and worst <= _SETTLED


def _report(judge: ByCount, short_run: ShortRun) -> Report:
    errors = {count: short_run.scores.get(_named(count), torch.nan) for count in judge.groups}
    checks = (short_run.step_check(), _error_check(errors, short_run))
    learned = (
        f"After {len(short_run.epochs)} epochs the covariance of every count is within "
        f"{max(errors.values()):.2g} of its label on the scenes that were trained on."
    )
    return checked_report("overfit", checks, [_table(judge, short_run)], [learned])


def _error_check(errors: Errors, short_run: ShortRun) -> Requirement:
    high = [f"K = {count} at {error:.2g}" for count, error in errors.items() if not error <= LIMIT]
    # NaN must come out as the worst.
    worst = max(errors.values(), key=lambda error: (math.isnan(error), error))
    return Requirement.at_most(
        "NMSE of the worst count",
        worst,
        LIMIT,
        f"After {len(short_run.epochs)} epochs the NMSE of scenes trained on stays above {LIMIT:g} "
        f"for {', '.join(high)}: if it still falls give it more --epochs, else look at what the "
        "factors can express and whether validation builds the covariance that training does.",
    )


def _table(judge: ByCount, short_run: ShortRun) -> Table:
    headings = ("epoch", *(f"K = {count}" for count in judge.groups), "all")
    rows = tuple(
        (
            epoch.plan.epoch,
            *(epoch.scores[_named(count)] for count in judge.groups),
            epoch.scores["loss"],
        )
        for epoch in milestones(short_run.epochs)
    )
    return Table("NMSE of the scenes trained on", headings, rows)


def _named(count: int) -> str:
    return f"cov_k{count}"
