"""The overfit probe: a network memorises the covariances of a few scenes of every count."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

import torch
from torch.nn import Module

from risexp.config.learning import Front, LossWeights
from risexp.config.run import RunConfig
from risexp.data.frames import Scenes
from risexp.diagnostics.probe_trainer import (
    CachedObjective,
    ProbeTrainer,
    Scores,
    ShortRun,
    batch_sizes,
    milestones,
    short_run_changes,
    train_setup,
)
from risexp.diagnostics.report import Report, Requirement, Table, checked_report
from risexp.training.curriculum import curriculum
from risexp.training.events import EpochEnded
from risexp.training.objective import Objective
from risexp.training.plan import Plan

SHARES: Final[Mapping[Front, float]] = {"pursuit": 0.5, "image": 0.9, "aperture": 0.25}
"""Least share of the way from the untrained network's NMSE to zero, for each front."""
LIMIT: Final = 0.1
"""Largest NMSE of memorised scenes at every count; the aperture needs longer runs to get there."""
EMPTY: Final = 1.0
"""NMSE of an empty covariance: a network that scores worse begins its way here."""
_MARGIN: Final = 0.9
"""Share of each limit at which the run may end."""
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

    @torch.no_grad()
    def __call__(self, network: Module, plan: Plan) -> dict[str, float]:
        """The mean error as `loss`, and the error of each count."""
        errors = self.errors(network, plan)
        total = sum(errors[count] * len(scenes) for count, scenes in self.groups.items())
        mean = total / sum(len(scenes) for scenes in self.groups.values())
        return {"loss": mean} | {_named(count): error for count, error in errors.items()}

    def errors(self, network: Module, plan: Plan) -> dict[int, float]:
        """The error of each count."""
        return {
            count: float(self.cached(network, scenes, plan).terms["cov"])
            for count, scenes in self.groups.items()
        }


@dataclass(frozen=True)
class Goal:
    """What an untrained network scores, and what training has to reach."""

    untrained: Scores
    share: float
    limit: float | None
    """Largest error of every count, if there is one."""

    @property
    def mean(self) -> float:
        """The largest mean error."""
        return (1.0 - self.share) * min(self.untrained["loss"], EMPTY)

    def settled(self, ended: EpochEnded) -> bool:
        """True if every error is below its limit by a margin."""
        limit = math.inf if self.limit is None else self.limit
        worst = max(error for name, error in ended.scores.items() if name != "loss")
        near = ended.scores["loss"] <= _MARGIN * self.mean and worst <= _MARGIN * limit
        return near and ended.plan.epoch >= _LEAST_EPOCHS


def probe_overfit(
    config: RunConfig, scenes: int = 512, epochs: int = 100, trainer: ProbeTrainer | None = None
) -> Report:
    """Train and validate on the same scenes, by the covariance alone and without samples.

    Scenes that do not fill the last batch are left out. The run ends early once the goal is
    reached.
    """
    trainer = trainer or ProbeTrainer()
    size, batches = batch_sizes(scenes)
    short = config.replace(
        short_run_changes(config.training, epochs, size, batches, _RATE)
        | {f"loss.{name}": 0.0 for name in LossWeights.model_fields}
        | {"loss.cov": 1.0, "loss.structure_share": None, "loss.balance": "fixed"}
        | {"beta.start": 0.0, "beta.final": 0.0, "beta.jitter": 0.0, "curriculum.phase": "joint"}
    )
    network, objective = trainer.fresh_network(short), trainer.objective_of(short)
    known = trainer.scenes(short, "train", size * batches)
    judge = ByCount.of(objective, known)
    front = config.network.front_for(config.physics.symbols)
    untrained = judge(network.eval(), curriculum(short)[0])
    goal = Goal(untrained, SHARES[front], None if front == "aperture" else LIMIT)
    setup = train_setup(network, objective, CachedObjective(objective), judge)
    short_run = trainer.train(short, setup, goal.settled)
    return _report(judge, goal, short_run)


def _report(judge: ByCount, goal: Goal, short_run: ShortRun) -> Report:
    errors = {count: short_run.scores.get(_named(count), torch.nan) for count in judge.groups}
    checks = [short_run.step_check(), _way_check(goal, short_run)]
    if goal.limit is not None:
        checks.append(_error_check(errors, goal.limit, short_run))
    learned = (
        f"{len(short_run.epochs)} epochs lower the NMSE of the scenes that were trained on from "
        f"{goal.untrained['loss']:.2g} to {short_run.scores.get('loss', torch.nan):.2g}."
    )
    return checked_report("overfit", checks, [_table(judge, goal, short_run)], [learned])


def _way_check(goal: Goal, short_run: ShortRun) -> Requirement:
    reached = short_run.scores.get("loss", torch.nan)
    return Requirement.at_most(
        "NMSE of all scenes",
        reached,
        goal.mean,
        f"After {len(short_run.epochs)} epochs the NMSE of scenes trained on is {reached:.2g}, "
        f"where an untrained network has {goal.untrained['loss']:.2g} and {goal.share:.0%} of the "
        "way to zero is due: look at training.optimizer.lr, at the sign and the gradient of the "
        "loss, and whether labels belong to their scenes.",
    )


def _error_check(errors: Errors, limit: float, short_run: ShortRun) -> Requirement:
    high = [f"K = {count} at {error:.2g}" for count, error in errors.items() if not error <= limit]
    # NaN must come out as the worst.
    worst = max(errors.values(), key=lambda error: (math.isnan(error), error))
    return Requirement.at_most(
        "NMSE of the worst count",
        worst,
        limit,
        f"After {len(short_run.epochs)} epochs the NMSE of scenes trained on stays above {limit:g} "
        f"for {', '.join(high)}: if it still falls give it more --epochs, else look at what the "
        "factors can express and whether validation builds the covariance that training does.",
    )


def _table(judge: ByCount, goal: Goal, short_run: ShortRun) -> Table:
    headings = ("epoch", *(f"K = {count}" for count in judge.groups), "all")
    trained = {epoch.plan.epoch: epoch.scores for epoch in milestones(short_run.epochs)}
    rows = tuple(
        (epoch, *(scores[_named(count)] for count in judge.groups), scores["loss"])
        for epoch, scores in ({0: goal.untrained} | trained).items()
    )
    return Table("NMSE of the scenes trained on", headings, rows)


def _named(count: int) -> str:
    return f"cov_k{count}"
