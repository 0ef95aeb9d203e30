"""Explains a refused step: its batch is computed again, and names terms and parameters."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal, Protocol

import torch
from torch import Tensor
from torch.nn import Module, Parameter

from risexp.data.frames import Scenes
from risexp.training.meters import HasLoss
from risexp.training.plan import Plan

Reason = Literal["value", "gradient", "no gradient", "failed", "not again"]
_GRAVEST: Final[tuple[Reason, ...]] = ("failed", "value", "gradient")

UNDECOMPOSED = (torch.linalg.LinAlgError, ArithmeticError)  # type: ignore[attr-defined]
"""Errors of a decomposition that found no solution, or a wrong one."""


class BatchObjective(Protocol):
    """An objective: the loss of a network on scenes, under the plan of an epoch."""

    def __call__(self, network: Module, scenes: Scenes, plan: Plan, /) -> HasLoss:
        """The loss, its total with a gradient."""


@dataclass(frozen=True)
class Refusal:
    """The cause of a refused batch, computed again with the last weights of its epoch."""

    batch: int
    """Its number in the epoch, counted from 0."""
    reason: Reason
    """A term is not finite (`value`), its gradient is not (`gradient`), all gradients are zero
    (`no gradient`), a decomposition `failed`, or all is sound by now (`not again`)."""
    terms: tuple[str, ...]
    """The guilty terms of the loss."""
    parameters: tuple[str, ...]
    """Parameters whose gradient they spoil."""
    inputs: tuple[str, ...]
    """Fields of the measurements that hold a value which is not finite."""

    def sentence(self) -> str:
        """The refusal in words."""
        parts = [f"batch {self.batch}: {self.reason}"]
        for name, culprits in (("in", self.terms), ("at", self.parameters), ("from", self.inputs)):
            if culprits:
                more = f" and {len(culprits) - 3} more" if len(culprits) > 3 else ""
                parts.append(f"{name} {', '.join(culprits[:3])}{more}")
        return " ".join(parts)


def explain(
    batch: int,
    scenes: Scenes,
    plan: Plan,
    losses: Callable[[Plan], Iterable[HasLoss]],
    parameters: Mapping[str, Parameter],
) -> Refusal:
    """Find the cause of a refused batch: add terms one by one, without those that spoil it."""
    sound: dict[str, float] = {}
    seen: dict[str, _Look] = {}
    for name, weight in plan.active.items():
        seen[name] = _look(losses(replace(plan, weights=sound | {name: weight})), parameters)
        if seen[name].reason is None:
            sound[name] = weight
    guilty = [name for name in seen if name not in sound]
    moving = any(seen[name].moving for name in sound)
    reasons = {seen[name].reason for name in guilty}
    innocent: Reason = "not again" if moving else "no gradient"
    return Refusal(
        batch=batch,
        reason=next((reason for reason in _GRAVEST if reason in reasons), innocent),
        terms=tuple(guilty),
        parameters=tuple(
            name for name in parameters if any(name in seen[term].spoiled for term in guilty)
        ),
        inputs=tuple(
            f"frames.{name}"
            for name, value in scenes.frames.items()
            if value is not None and not bool(value.isfinite().all())
        ),
    )


@dataclass(frozen=True)
class _Look:
    """The loss and the gradients of a batch under some of its terms."""

    reason: Reason | None
    """None where all is sound."""
    spoiled: tuple[str, ...] = ()
    moving: bool = False
    """Whether any gradient is not zero."""


def _look(losses: Iterable[HasLoss], parameters: Mapping[str, Parameter]) -> _Look:
    finite, moving = True, False
    spoiled: dict[str, None] = {}
    try:
        for loss in losses:
            finite &= bool(loss.total.isfinite())
            norms = _gradient_norms(loss.total, parameters)
            spoiled |= dict.fromkeys(name for name, norm in norms.items() if not norm.isfinite())
            moving |= any(bool(norm > 0.0) for norm in norms.values())
    except UNDECOMPOSED:
        return _Look("failed")
    if not finite:
        return _Look("value", tuple(spoiled), moving)
    return _Look("gradient" if spoiled else None, tuple(spoiled), moving)


def _gradient_norms(total: Tensor, parameters: Mapping[str, Parameter]) -> dict[str, Tensor]:
    """Norm of a gradient by parameter, without those the total does not depend on."""
    live = {name: each for name, each in parameters.items() if each.requires_grad}
    if not total.requires_grad:
        return {}
    gradients = torch.autograd.grad(total, list(live.values()), allow_unused=True)
    found: dict[str, Tensor | None] = dict(zip(live, gradients, strict=True))
    return {name: gradient.norm() for name, gradient in found.items() if gradient is not None}
