"""One batch, five steps: whether a network learns at all, before anybody waits for it to."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

import torch
from torch import Tensor
from torch.nn import Module, Parameter

from risexp.config.run import RunConfig
from risexp.data.scenes import SceneGenerator
from risexp.diagnostics.checks import Requirement, check_table
from risexp.diagnostics.probe_trainer import (
    CachedObjective,
    ProbeTrainer,
    ShortRun,
    brief,
    drawing,
    lesson_of,
)
from risexp.diagnostics.report import Number, Report, Table
from risexp.training.curriculum import curriculum
from risexp.training.plan import Plan

STEPS: Final = 5
LEFT: Final = 0.8
"""Largest share of the loss that five steps may leave."""
RATES: Final = (1e-2, 3e-3, 3e-2, 1e-3)
"""Learning rates that are tried until one is enough: what is asked is whether any works."""
_SCENES: Final = 4
"""Few, so that five steps can learn them by heart: more have a floor that a front that is nearly
right at the start is close to."""
_TRACE: Final = 1e-3
"""Noise on weights that are zero: too little to change an answer."""
_NAMED: Final = 6
"""Parameters that a sentence names."""

Gradients = Mapping[str, float]
"""Largest gradient of each trainable parameter over all steps; NaN where one was undefined."""


@dataclass(frozen=True)
class LitmusRun:
    """Five steps at one learning rate."""

    rate: float
    before: float
    """Loss of the batch, under the last step's plan."""
    after: tuple[float, ...]
    """The same after each step."""
    gradients: Gradients
    course: ShortRun

    @property
    def left(self) -> float:
        """Share of the loss that is left after the last step; infinite where there is none."""
        if not self.after or not self.before > 0.0 or math.isnan(self.after[-1]):
            return math.inf
        return self.after[-1] / self.before


def probe_litmus(config: RunConfig, school: ProbeTrainer | None = None) -> Report:
    """Take five steps on one batch over the configured ramp of beta.

    The rates are the probe's own, and so is the optimizer's tuning; all that decides the loss is
    configured. Loss is compared under the last step's plan, as the weights of other plans differ.

    Args:
        config: A run.
        school: The code under test.
    """
    trials: list[LitmusRun] = []
    for rate in RATES:
        trials.append(_tried(config, school or ProbeTrainer(), rate))
        if trials[-1].left <= LEFT or trials[-1].course.aborted is not None:
            break
    best = min(trials, key=lambda each: each.left)
    checks = _checks(best)
    failed = [check.advice for check in checks if not check.passed]
    evidence = (
        check_table(checks),
        Number("trainable parameters", float(len(best.gradients))),
        _table(trials),
    )
    learns = f"At a rate of {best.rate:g} five steps leave {best.left:.2f} of the loss."
    return Report("litmus", "fail" if failed else "pass", evidence, tuple(failed or [learns]))


def _tried(config: RunConfig, school: ProbeTrainer, rate: float) -> LitmusRun:
    """Five epochs of one batch, so that each step has its own plan."""
    short = config.replace(
        brief(STEPS, _SCENES, 1, rate)
        | {"training.optimizer.warmup_share": 0.0, "training.optimizer.final_share": 1.0}
        | {"beta.ramp_share": 1.0}
    )
    network, teacher = school.begun(short), school.teacher(short)
    _open(network, short.training.seed)
    scenes = SceneGenerator(short.physics, short.data).scenes("train", 0, _SCENES)
    objective, last = CachedObjective(teacher), curriculum(short)[-1]

    def judge(judged: Module, _plan: Plan) -> dict[str, float]:
        # Weights by value: what a balance learns about itself is not what the network learns.
        terms = objective(judged, scenes, last).terms
        return {"loss": math.fsum(last.weights[name] * float(terms[name]) for name in terms)}

    with torch.no_grad():
        before = judge(network.eval(), last)["loss"]
    lesson = lesson_of(network, teacher, objective, judge)
    named = dict(network.named_parameters())
    named |= {f"balance.{name}": each for name, each in teacher.balance.named_parameters()}
    with _watched(named) as largest:
        course = school.taught(short, lesson)
    after = tuple(epoch.scores["loss"] for epoch in course.epochs)
    gradients = {name: float(size) for name, size in largest.items()}
    return LitmusRun(rate, before, after, gradients, course)


@torch.no_grad()
def _open(network: Module, seed: int) -> None:
    """Put a trace of noise where layers start at zero: what lies behind them has no gradient yet.

    Five steps would do without it; the guard that every part moves in every epoch would not.
    """
    with drawing(seed):
        for parameter in network.parameters():
            if parameter.ndim >= 2 and not bool(parameter.any()):
                parameter.normal_(std=_TRACE)


@contextmanager
def _watched(parameters: Mapping[str, Parameter]) -> Iterator[dict[str, Tensor]]:
    """The largest gradient that each trainable parameter receives meanwhile."""
    live = {name: each for name, each in parameters.items() if each.requires_grad}
    largest = {name: torch.zeros(()) for name in live}

    def note(parameter: Tensor, name: str) -> None:
        if parameter.grad is not None:
            # Not the built-in max: it would lose NaN.
            largest[name] = torch.maximum(largest[name], parameter.grad.abs().amax())

    handles = [
        each.register_post_accumulate_grad_hook(partial(note, name=name))  # type: ignore[no-untyped-call]
        for name, each in live.items()
    ]
    try:
        yield largest
    finally:
        for handle in handles:
            handle.remove()


def _checks(trial: LitmusRun) -> tuple[Requirement, ...]:
    undefined = [name for name, size in trial.gradients.items() if not math.isfinite(size)]
    without = [name for name, size in trial.gradients.items() if size == 0.0]
    refusals = [each for epoch in trial.course.epochs for each in epoch.refused]
    because = f" ({refusals[0].sentence()})" if refusals else ""
    return (
        Requirement.at_most(
            "parameters with an undefined gradient",
            float(len(undefined)),
            0.0,
            f"The gradient of {_listed(undefined)} is not finite{because}: `risexp diagnose "
            "gradients` shows which term makes it so.",
        ),
        trial.course.step_check(STEPS),
        Requirement.at_most(
            "parameters without a gradient",
            float(len(without)),
            0.0,
            f"No term that has a weight reaches {_listed(without)}: give the output it serves a "
            "term, or leave it out.",
        ),
        Requirement.at_most(
            "share of the loss left",
            trial.left,
            LEFT,
            f"Five steps on {_SCENES} scenes leave {trial.left:.2f} of the loss at every rate "
            "tried: look whether the loss follows the prediction, and the step the gradient.",
        ),
    )


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"


def _table(trials: list[LitmusRun]) -> Table:
    headings = ("rate", "before", *(f"step {step}" for step in range(1, STEPS + 1)))
    rows = tuple(
        (
            f"{trial.rate:g}",
            trial.before,
            *(trial.after[step] if step < len(trial.after) else None for step in range(STEPS)),
        )
        for trial in trials
    )
    return Table("loss of the batch", headings, rows)
