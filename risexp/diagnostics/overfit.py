"""Scenes learned by heart: whether the covariance can be answered at all, for each count."""

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
from risexp.diagnostics.checks import Requirement, check_table
from risexp.diagnostics.probe_trainer import (
    CachedObjective,
    ProbeTrainer,
    ShortRun,
    brief,
    lesson_of,
    milestones,
    pieces,
)
from risexp.diagnostics.report import Report, Table
from risexp.training.events import EpochEnded
from risexp.training.objective import Objective
from risexp.training.plan import Plan

LIMIT: Final = 0.1
"""NMSE that scenes known by heart must reach, at every count."""
_SETTLED: Final = 0.5 * LIMIT
"""NMSE at which there is nothing left to wait for."""
_LEAST_EPOCHS: Final = 4
_RATE: Final = 2e-3

Errors = Mapping[int, float]
"""NMSE by the number of sources."""


@dataclass(frozen=True)
class ByCount:
    """Judges the covariance of the same scenes, apart by their number of sources."""

    objective: CachedObjective
    groups: Mapping[int, Scenes]
    """Scenes of each count that occurs."""

    @classmethod
    def of(cls, teacher: Objective, scenes: Scenes) -> Self:
        """Sort scenes by their count."""
        count = scenes.truth.count
        return cls(
            CachedObjective(teacher),
            {
                each: Scenes(scenes.frames[count == each], scenes.truth[count == each])
                for each in sorted(set(count.tolist()))
            },
        )

    def __call__(self, network: Module, plan: Plan) -> dict[str, float]:
        """The mean error as `loss`, and that of each count."""
        errors = self.errors(network, plan)
        total = sum(errors[count] * len(scenes) for count, scenes in self.groups.items())
        mean = total / sum(len(scenes) for scenes in self.groups.values())
        return {"loss": mean} | {_named(count): error for count, error in errors.items()}

    @torch.no_grad()
    def errors(self, network: Module, plan: Plan) -> dict[int, float]:
        """The error of each count."""
        return {
            count: float(self.objective(network, scenes, plan).terms["cov"])
            for count, scenes in self.groups.items()
        }


def probe_overfit(
    config: RunConfig, scenes: int = 512, epochs: int = 100, school: ProbeTrainer | None = None
) -> Report:
    """Train and judge on the same scenes, by the covariance alone and without samples.

    Args:
        config: A run.
        scenes: How many are learned by heart; what does not fill the last batch is left out.
        epochs: At most; it ends as soon as every count is far below the limit.
        school: The code under test.
    """
    school = school or ProbeTrainer()
    size, batches = pieces(scenes)
    short = config.replace(
        brief(epochs, size, batches, _RATE)
        | {f"loss.{name}": 0.0 for name in LossWeights.model_fields}
        | {"loss.cov": 1.0, "loss.structure_share": None, "loss.balance": "fixed"}
        | {"beta.start": 0.0, "beta.final": 0.0, "beta.jitter": 0.0, "curriculum.phase": "joint"}
    )
    network, teacher = school.begun(short), school.teacher(short)
    known = SceneGenerator(short.physics, short.data).scenes("train", 0, size * batches)
    judge = ByCount.of(teacher, known)
    lesson = lesson_of(network, teacher, CachedObjective(teacher), judge)
    course = school.taught(short, lesson, _settled)
    return _reported(judge, course)


def _settled(ended: EpochEnded) -> bool:
    worst = max(error for name, error in ended.scores.items() if name != "loss")
    return ended.plan.epoch >= _LEAST_EPOCHS and worst <= _SETTLED


def _reported(judge: ByCount, course: ShortRun) -> Report:
    errors = {count: course.scores.get(_named(count), torch.nan) for count in judge.groups}
    checks = (course.step_check(), _error_check(errors, course))
    failed = [check.advice for check in checks if not check.passed]
    learned = (
        f"After {len(course.epochs)} epochs the covariance of every count is within "
        f"{max(errors.values()):.2g} of its label on the scenes that were trained on."
    )
    evidence = (check_table(checks), _table(judge, course))
    return Report("overfit", "fail" if failed else "pass", evidence, tuple(failed or [learned]))


def _error_check(errors: Errors, course: ShortRun) -> Requirement:
    high = [f"K = {count} at {error:.2g}" for count, error in errors.items() if not error <= LIMIT]
    # NaN compares with nothing; it has to come out as the worst.
    worst = max(errors.values(), key=lambda error: (math.isnan(error), error))
    return Requirement.at_most(
        "NMSE of the worst count",
        worst,
        LIMIT,
        f"After {len(course.epochs)} epochs the NMSE of scenes trained on stays above {LIMIT:g} "
        f"for {', '.join(high)}: if it still falls give it more --epochs, else look at what the "
        "factors can express and whether validation builds the covariance that training does.",
    )


def _table(judge: ByCount, course: ShortRun) -> Table:
    headings = ("epoch", *(f"K = {count}" for count in judge.groups), "all")
    rows = tuple(
        (
            each.plan.epoch,
            *(each.scores[_named(count)] for count in judge.groups),
            each.scores["loss"],
        )
        for each in milestones(course.epochs)
    )
    return Table("NMSE of the scenes trained on", headings, rows)


def _named(count: int) -> str:
    return f"cov_k{count}"
