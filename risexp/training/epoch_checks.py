"""Checks of an epoch: its steps, its weights, and a loss as planned."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from risexp.errors import TrainingAborted
from risexp.loss.self_test import covariance_fault
from risexp.training.meters import Losses, Steps
from risexp.training.plan import Plan

_TOLERANCE: Final = 1e-4


@dataclass(frozen=True)
class Limits:
    """Limits beyond which a run is ended."""

    refused_share: float = 0.05
    """Largest share of an epoch's steps that may be refused."""
    fixed_weights: bool = True
    """Whether each term must weigh what the plan says; not where weights are learned or scaled."""


@dataclass(frozen=True)
class EpochFault:
    """A failed check of an epoch."""

    guard: str
    sentence: str


def faults(plan: Plan, steps: Steps, losses: Losses, limits: Limits) -> tuple[EpochFault, ...]:
    """All faults of an epoch, the most basic first."""
    return tuple(
        EpochFault(guard, f"epoch {plan.epoch}: {sentence}")
        for guard, sentence in (
            *_step_faults(plan, steps, limits),
            *_weight_faults(steps),
            *_loss_faults(plan, losses, limits),
        )
    )


def expect_sound(plan: Plan, steps: Steps, losses: Losses, limits: Limits) -> None:
    """Abort a training after an epoch with a fault, the first one."""
    for fault in faults(plan, steps, losses, limits):
        raise TrainingAborted(fault.sentence, guard=fault.guard)


def _step_faults(plan: Plan, steps: Steps, limits: Limits) -> Iterator[tuple[str, str]]:
    counted = steps.taken + len(steps.refused)
    if counted != steps.batches:
        yield "steps", f"{counted} of {steps.batches} batches were a step: each has to be one"
    if steps.taken == 0:
        yield "steps", f"none of {steps.batches} steps was taken"
    if steps.refused_share > limits.refused_share:
        count, most = len(steps.refused), limits.refused_share
        yield "refused", f"{count} of {steps.batches} steps were refused, more than {most:.0%}"
    for part, norm in steps.moved.items():
        if part in plan.frozen and norm != 0.0:
            yield "moved", f"the {part} moved, and the plan freezes it"
        if part not in plan.frozen and norm == 0.0:
            yield "moved", f"no weight of the {part} moved in {steps.taken} steps"


def _weight_faults(steps: Steps) -> Iterator[tuple[str, str]]:
    if not math.isfinite(steps.delta_param):
        yield "weights", "a weight is no finite number any more"
    if not math.isfinite(steps.average_distance or 0.0):
        yield "average", "an averaged weight is no finite number any more"
    if steps.average_distance == 0.0 and steps.total > 1:
        yield "average", f"the averaged weights are the plain ones after {steps.total} steps"
    if steps.average_moved == 0.0 and steps.taken:
        yield "average", f"the averaged weights did not move in {steps.taken} steps"


def _loss_faults(plan: Plan, losses: Losses, limits: Limits) -> Iterator[tuple[str, str]]:
    if losses.total == 0.0:
        yield "loss", "the total loss is exactly zero"
    summed, size = sum(losses.weighted.values()), sum(map(abs, losses.weighted.values()))
    if abs(losses.total - summed) > _TOLERANCE * size:
        yield "loss", f"the total loss is {losses.total:.6g}, and its terms add up to {summed:.6g}"
    if "cov" in losses.raw and losses.scenes:
        cov_fault = covariance_fault(losses.raw["cov"])
        if cov_fault is not None:
            yield "covariance", cov_fault
    for name, share in losses.weighted.items() if limits.fixed_weights else ():
        due = plan.weights[name] * losses.raw[name]
        if abs(share - due) > _TOLERANCE * abs(due):
            yield "plan", f"the term {name} adds {share:.6g}, and by its weight {due:.6g}"
