"""Move sources downhill in the misfit of linear measurements: damped Gauss-Newton steps.

Coordinates run over u of all sources, then v, then rho.
"""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from risexp.core.batch import TensorBatch
from risexp.estimation.projection import Equations, Projection, Solution, project, solve
from risexp.estimation.receiver_model import ReceiverModel, View
from risexp.physics.geometry import Panel

_ROUNDING = 1e-6
"""Share of the energy that counts as no change of the misfit in single precision."""
_CROWD = 0.5
"""Share of scenes still moving below which it pays to leave the settled ones behind."""
_DAMPING = 1e-3
"""Damping of the first step."""
_TRUST = 0.45
"""Longest step of a coordinate, in grid-like units of the panel's resolution."""


def refine(
    receiver: ReceiverModel,
    equations: Equations,
    points: Tensor,
    tolerance: Tensor,
    present: Tensor | None = None,
    steps: int = 14,
) -> Projection:
    """Move points (B, k, 3) jointly downhill, inside the view, none beyond rounding uphill.

    A scene is settled when a full step promises less than its `tolerance`, (B,) float64. Sources
    that are not `present` (B, k) take no part.
    """
    start = project(receiver.panel, equations, receiver.view.clamp(points), present)
    damping = torch.full_like(start.misfit, _DAMPING)
    return _descend(receiver, Task(equations, tolerance, present), start, damping, steps)


@dataclass(frozen=True)
class Task(TensorBatch):
    """What stays the same from step to step."""

    equations: Equations
    tolerance: Tensor
    present: Tensor | None


def advance(
    receiver: ReceiverModel, equations: Equations, points: Tensor, tolerance: Tensor, steps: int
) -> Projection:
    """Move the points as `refine` does, by so many steps, without waiting for the device."""
    return _advanced(receiver, Task(equations, tolerance, None), points, steps)[0]


def approach(
    receiver: ReceiverModel, equations: Equations, points: Tensor, tolerance: Tensor, steps: int
) -> Solution:
    """As `advance`, by one step at least, without the slopes at the end."""
    task = Task(equations, tolerance, None)
    best, damping, going = _advanced(receiver, task, points, steps - 1)
    step, going = _next_step(receiver, task, best, damping, going)
    tried = solve(receiver.panel, equations, moved(receiver, best.points, step))
    return tried.where(_better(task, best, tried) & going, best.solution())


def _advanced(
    receiver: ReceiverModel, task: Task, points: Tensor, steps: int
) -> tuple[Projection, Tensor, Tensor]:
    """The fit after so many steps, the damping of the next (B,), and its scenes (B,) bool."""
    best = project(receiver.panel, task.equations, receiver.view.clamp(points))
    damping = torch.full_like(best.misfit, _DAMPING)
    going = torch.ones_like(damping, dtype=torch.bool)
    for _ in range(steps):
        step, going = _next_step(receiver, task, best, damping, going)
        best, damping = _stepped(receiver, task, best, damping, (step, going))
    return best, damping, going


def _next_step(
    receiver: ReceiverModel, task: Task, best: Projection, damping: Tensor, going: Tensor
) -> tuple[Tensor, Tensor]:
    """The next step (B, 3 k), and which scenes (B,) are not settled before it."""
    step = damped_step(
        best.slope, best.curvature, damping, held(receiver.view, best.points, best.slope)
    )
    return step, going & ((best.slope * step).sum(-1) > task.tolerance)


def _descend(
    receiver: ReceiverModel, task: Task, best: Projection, damping: Tensor, steps: int
) -> Projection:
    """Levenberg-Marquardt steps; once most scenes are settled, the rest go on alone.

    A settled scene stays, and the others keep their damping, so that no answer depends on which
    scenes are searched together.
    """
    going = torch.ones_like(damping, dtype=torch.bool)
    for taken in range(steps):
        step, going = _next_step(receiver, task, best, damping, going)
        left = int(going.sum())
        if left == 0:
            break
        if left < _CROWD * len(going):
            scenes = going.nonzero().squeeze(-1)
            rest = _descend(receiver, task[scenes], best[scenes], damping[scenes], steps - taken)
            return best.replaced(scenes, rest)
        best, damping = _stepped(receiver, task, best, damping, (step, going))
    return best


def _stepped(
    receiver: ReceiverModel,
    task: Task,
    best: Projection,
    damping: Tensor,
    move: tuple[Tensor, Tensor],
) -> tuple[Projection, Tensor]:
    """The fit after a step (B, 3 k) of scenes that go on (B,), kept where it is a better one."""
    step, going = move
    tried = project(
        receiver.panel, task.equations, moved(receiver, best.points, step), task.present
    )
    better = _better(task, best, tried)
    damping = torch.where(better, 0.2 * damping, 8.0 * damping).clamp(1e-6, 1e6)
    return tried.where(better & going, best), damping


def _better(task: Task, best: Solution, tried: Solution) -> Tensor:
    """Where (B,) a step did not raise the misfit beyond rounding, nor below what can be."""
    rounding = _ROUNDING * task.equations.energy
    return (tried.misfit < best.misfit + rounding) & (tried.misfit > -rounding)


def held(view: View, points: Tensor, slope: Tensor) -> Tensor:
    """Coordinates (B, 3 k) that their limit keeps from moving."""
    return by_coordinate(view.held(points, by_source(slope)))


def damped_step(slope: Tensor, curvature: Tensor, damping: Tensor, still: Tensor) -> Tensor:
    """Solve (curvature + damping diag) step = slope over the coordinates that are free to move."""
    free = (~still).to(slope)
    diagonal = curvature.diagonal(dim1=-2, dim2=-1).clamp(min=1e-300)
    ridge = torch.where(still, diagonal, damping.unsqueeze(-1) * diagonal)
    system = curvature * free.unsqueeze(-1) * free.unsqueeze(-2) + torch.diag_embed(ridge)
    step: Tensor = torch.linalg.solve_ex(system, (slope * free).unsqueeze(-1)).result
    return step.squeeze(-1).nan_to_num(0.0, 0.0, 0.0)


def moved(receiver: ReceiverModel, points: Tensor, step: Tensor) -> Tensor:
    """Points after a step (B, 3 k), shortened to stay on their lobes and kept inside the view."""
    view, reach = receiver.view, longest_steps(receiver.panel, receiver.view, points.device)
    shift = by_source(step)
    longest = (shift.abs() / reach).amax((-2, -1), keepdim=True).clamp(min=1.0)
    return view.clamp(points + (shift / longest).to(points.dtype))


@lru_cache(maxsize=8)
def longest_steps(panel: Panel, view: View, device: torch.device) -> Tensor:
    """Longest step along u, v and rho that keeps a source on its own lobe."""
    wavelengths = panel.spacing_m / panel.wavelength_m
    u, v = (_TRUST / (count * wavelengths) for count in (panel.elements_h, panel.elements_v))
    with torch.inference_mode(mode=False):
        return torch.tensor([u, v, view.extent[2] / 6.0], dtype=torch.float64, device=device)


def by_source(values: Tensor) -> Tensor:
    """(B, 3 k), u of all sources first, as (B, k, 3)."""
    batch, size = values.shape
    return values.reshape(batch, 3, size // 3).mT


def by_coordinate(points: Tensor) -> Tensor:
    """(B, k, 3) as (B, 3 k), u of all sources first."""
    return points.mT.flatten(1)
