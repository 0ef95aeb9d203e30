"""The count head: whether it can learn scenes by heart, and whether it learns to count others."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import Module

from risexp.config.run import RunConfig
from risexp.data.frames import Scenes
from risexp.data.scenes import SceneGenerator
from risexp.diagnostics.checks import Requirement, check_table
from risexp.diagnostics.probe_trainer import (
    CachedObjective,
    ProbeTrainer,
    ShortRun,
    at_once,
    brief,
    lesson_of,
    milestones,
    pieces,
)
from risexp.diagnostics.report import Evidence, Rate, Report, Table
from risexp.evaluation.scene_scores import confusion
from risexp.training.objective import Objective
from risexp.training.plan import Plan

BY_HEART: Final = 0.95
"""K accuracy that scenes known by heart must reach."""
CLASSES: Final = 3
"""Different counts that must be answered to fresh scenes."""
SURE: Final = 0.99
"""Confidence of the interval that must lie above chance."""
_RARE: Final = 0.01
"""Share of the answers below which a count is not answered but strayed into."""
_RATE: Final = 3e-3
_BATCH: Final = 64
_ANSWERED: Final = 256
"""Scenes answered at once."""


@dataclass(frozen=True)
class Amount:
    """How much a count head is given to learn."""

    scenes: int = 64
    """Known by heart."""
    epochs: int = 150
    """Of them, at most."""
    fresh: int = 8192
    """Scenes seen once, before fresh ones are counted; 0 counts them with the weights at hand."""
    judged: int = 1024
    """Fresh scenes that are counted; 0 leaves that half out."""


@dataclass(frozen=True)
class Counted:
    """Answers beside the truth."""

    answers: Tensor
    """(B,) int64"""
    truth: Tensor
    """(B,) int64"""
    most: int

    @property
    def hits(self) -> Tensor:
        """Which counts are right, (B,) bool."""
        return self.answers == self.truth

    @property
    def rate(self) -> Rate:
        """K accuracy, surely within."""
        return Rate.of(self.hits, SURE)

    @property
    def majority(self) -> float:
        """K accuracy of always answering the commonest count."""
        return float(self.truth.bincount().max()) / len(self.truth)

    @property
    def classes(self) -> int:
        """Different counts among the answers, stray ones left out."""
        return int((self.answers.bincount() >= _RARE * len(self.answers)).sum())

    def table(self) -> Table:
        """Scenes by true and answered count."""
        found = confusion(self.truth, self.answers, self.most).matrix.tolist()
        headings = ("true K", *(str(count) for count in range(1, self.most + 1)))
        rows = tuple((count, *row) for count, row in enumerate(found, start=1))
        return Table("fresh scenes by true and answered count", headings, rows)


def probe_k_head(
    config: RunConfig,
    amount: Amount | None = None,
    beta: float | None = None,
    school: ProbeTrainer | None = None,
) -> Report:
    """Learn a few scenes by heart under the weights of the count phase; then count fresh ones.

    The backbone learns too, whatever the phase freezes. The fresh half starts anew.

    Args:
        config: A run.
        amount: How much is learned.
        beta: Share of the samples; the configured final one where it is left out.
        school: The code under test.
    """
    school, amount = school or ProbeTrainer(), amount or Amount()
    if config.data.sources_max == 1:
        return Report("k-head", "info", (), ("Every scene holds one source: nothing to count.",))
    counting = config.replace(_of_count(config.beta.final if beta is None else beta))
    course = _by_heart(counting, amount, school)
    checks = [course.step_check(), _heart_check(course, amount)]
    evidence: list[Evidence] = [_curve(course)]
    said = [f"{amount.scenes} scenes are known by heart after {len(course.epochs)} epochs."]
    if amount.judged:
        counted = _on_fresh(counting, amount, school)
        checks += _fresh_checks(counted)
        evidence.append(counted.table())
        said.append(_of_fresh(counted, amount))
    failed = [check.advice for check in checks if not check.passed]
    shown = (check_table(checks), *evidence)
    return Report("k-head", "fail" if failed else "pass", shown, tuple(failed or said))


def counts(network: Module, teacher: Objective, scenes: Scenes, beta: float) -> Counted:
    """What a network answers to scenes, seen through the teacher's eyes."""
    network.eval()
    answers = []
    with torch.no_grad():
        for start in range(0, len(scenes), _ANSWERED):
            observation = teacher.observe(scenes.frames[start : start + _ANSWERED])
            answers.append(network(observation, beta).count)
    most = scenes.truth.phi_rad.shape[1]
    return Counted(torch.cat(answers), scenes.truth.count, most)


def taught_fresh(config: RunConfig, scenes: int, school: ProbeTrainer) -> Module:
    """A network after one pass over scenes that it sees once."""
    batches = max(1, scenes // _BATCH)
    changes = brief(1, _BATCH, batches, _RATE) | at_once(config)
    short = config.replace(changes | {"training.repeat": False})
    network, teacher = school.begun(short), school.teacher(short)
    if scenes == 0:
        return network
    return school.taught(short, lesson_of(network, teacher, teacher, _unjudged)).network


def _of_count(beta: float) -> dict[str, Any]:
    return {
        "curriculum.phase": "count",
        "curriculum.count_backbone_lr": 1.0,
        "count.decision": "probable",
        "beta.start": beta,
        "beta.final": beta,
        "beta.jitter": 0.0,
    }


def _by_heart(config: RunConfig, amount: Amount, school: ProbeTrainer) -> ShortRun:
    size, batches = pieces(amount.scenes)
    short = config.replace(brief(amount.epochs, size, batches, _RATE))
    network, teacher = school.begun(short), school.teacher(short)
    scenes = SceneGenerator(short.physics, short.data).scenes("train", 0, size * batches)
    objective = CachedObjective(teacher)

    def judge(judged: Module, plan: Plan) -> Mapping[str, float]:
        answer = judged(objective.observation(scenes.frames), plan.beta)
        hits = (answer.count == scenes.truth.count).double().mean()
        return {"loss": 1.0 - float(hits), "k_acc": float(hits)}

    lesson = lesson_of(network, teacher, objective, judge)
    return school.taught(short, lesson, lambda ended: ended.scores["k_acc"] >= BY_HEART)


def _on_fresh(config: RunConfig, amount: Amount, school: ProbeTrainer) -> Counted:
    network = taught_fresh(config, amount.fresh, school)
    scenes = SceneGenerator(config.physics, config.data).scenes("test", 0, amount.judged)
    return counts(network, school.teacher(config), scenes, config.beta.final)


def _unjudged(_network: Module, _plan: Plan) -> Mapping[str, float]:
    return {"loss": 0.0}


def _heart_check(course: ShortRun, amount: Amount) -> Requirement:
    found = course.scores.get("k_acc", torch.nan)
    return Requirement.at_least(
        "K accuracy of scenes known by heart",
        found,
        BY_HEART,
        f"The count head does not learn {amount.scenes} scenes by heart: after "
        f"{len(course.epochs)} epochs it counts {found:.2f} of them. Look whether what it is given "
        "differs from scene to scene and belongs to its scene, and whether its loss reaches it.",
    )


def _fresh_checks(counted: Counted) -> list[Requirement]:
    rate, needed = counted.rate, min(CLASSES, counted.most)
    low, majority = rate.low, counted.majority
    return [
        Requirement(
            "lower 99 % bound of the K accuracy of fresh scenes",
            low,
            f"> {majority:.3f}",
            low > majority,
            f"Of fresh scenes {rate.value:.3f} are counted, surely no more than {low:.3f}, where "
            f"always answering one count gets {majority:.3f}: what the head is given says nothing "
            "of the count, so look whether observations belong to their scenes; or it has seen too "
            "few scenes (--fresh).",
        ),
        Requirement.at_least(
            "different counts answered to fresh scenes",
            float(counted.classes),
            float(needed),
            f"Only {counted.classes} different counts are answered to fresh scenes: the head has "
            "settled on a few classes, so look at its thresholds, its costs and its features.",
        ),
    ]


def _of_fresh(counted: Counted, amount: Amount) -> str:
    return (
        f"After {amount.fresh} scenes, each seen once, {counted.rate.value:.3f} of fresh ones are "
        f"counted, where always answering one count gets {counted.majority:.3f}."
    )


def _curve(course: ShortRun) -> Table:
    rows = tuple(
        (each.plan.epoch, each.losses.raw["count"], each.scores["k_acc"])
        for each in milestones(course.epochs)
    )
    return Table("scenes learned by heart", ("epoch", "count loss", "K accuracy"), rows)
