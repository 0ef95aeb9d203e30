"""Fit point sources to linear measurements: gains in closed form, positions by Gauss-Newton.

Minimise |Y - G A(p) S|^2 over the positions p of k sources and their gains S (variable projection:
G. H. Golub, V. Pereyra, Inverse Problems 19, 2003). With W = G^H G, b = G^H Y, and D_j the slope of
A along a coordinate j, all blocks of the step come from one product X^H W X, X = [A, D]:

    S = (A^H W A)^-1 A^H b,                 r = b - W A S
    slope_j = Re tr(S_j^H D_j^H r),         curvature_ij = Re((D_i^H W_p D_j) (S_j S_i^H))

where W_p is W with the span of A projected out. Coordinates run over u of all sources, then v, then
rho.
"""

from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Self

import torch
from torch import Tensor

from risexp.estimation.setting import Setting
from risexp.estimation.view import View
from risexp.physics.geometry import Panel
from risexp.physics.steering import steering_slopes

_LOAD = 1e-9
"""Relative load of A^H W A: coincident sources share a gain rather than have none."""
_LOST = 1e-6
_HEAVY = 8e-6
"""Relative pivots that single precision cannot tell from zero, and the load that lifts them."""
_ROUNDING = 1e-6
"""Share of the energy that counts as no change of the misfit in single precision."""
_CROWD = 0.5
"""Share of scenes still moving below which it pays to leave the settled ones behind."""
_DAMPING = 1e-3
"""Damping of the first step."""
_TRUST = 0.45
"""Longest step of a coordinate, in grid-like units of the panel's resolution."""


@dataclass(frozen=True)
class Equations:
    """Normal equations of B scenes with q right-hand sides."""

    gram: Tensor | None
    """W = G^H G, (B, N, N) complex64; None where G is the identity."""
    matched: Tensor
    """b = G^H Y, (B, N, q) complex64."""
    energy: Tensor
    """|Y|^2, (B,) float64."""

    def __getitem__(self, scenes: Tensor | slice) -> "Equations":
        gram = None if self.gram is None else self.gram[scenes]
        return Equations(gram, self.matched[scenes], self.energy[scenes])

    def strength(self) -> Tensor:
        """Mean of |G a|^2 over all unit waves a, (B,)."""
        if self.gram is None:
            return torch.ones_like(self.energy, dtype=torch.float32)
        return self.gram.diagonal(dim1=-2, dim2=-1).real.mean(-1)

    def through(self, columns: Tensor) -> Tensor:
        """X^H W for columns given as rows, (B, k, N)."""
        rows = columns.conj()
        return rows if self.gram is None else rows @ self.gram


@dataclass(frozen=True)
class Projection:
    """Sources at points, their best gains, and how the misfit turns as the points move."""

    points: Tensor
    """(B, k, 3) float32: u, v, rho."""
    gains: Tensor
    """S, (B, k, q) complex128."""
    misfit: Tensor
    """|Y - G A S|^2, (B,) float64."""
    slope: Tensor
    """(B, 3 k): minus half the gradient of the misfit."""
    curvature: Tensor
    """(B, 3 k, 3 k): half the Gauss-Newton Hessian of the misfit."""
    overlap: Tensor
    """A^H W A, (B, k, k) complex128."""
    seen: Tensor
    """A^H W, (B, k, N) complex64."""

    def where(self, better: Tensor, other: Self) -> Self:
        """This fit where it is better, the other elsewhere."""
        chosen = {}
        for field in fields(self):
            mine, theirs = getattr(self, field.name), getattr(other, field.name)
            chosen[field.name] = torch.where(better.view(-1, *[1] * (mine.ndim - 1)), mine, theirs)
        return type(self)(**chosen)

    def __getitem__(self, scenes: Tensor) -> Self:
        return type(self)(*(getattr(self, field.name)[scenes] for field in fields(self)))

    def replaced(self, scenes: Tensor, others: Self) -> Self:
        """This fit with the named scenes taken from another, in their order."""
        return type(self)(
            *(
                getattr(self, field.name).index_copy(0, scenes, getattr(others, field.name))
                for field in fields(self)
            )
        )

    def root(self) -> Tensor:
        """Cholesky root of the overlap, (B, k, k)."""
        return loaded_root(self.overlap)


def loaded_root(overlap: Tensor) -> Tensor:
    """Cholesky root of Hermitian overlaps (B, k, k), of coincident sources too.

    In single precision an overlap of nearly coincident sources may have lost its sign: where a
    pivot is no more than rounding, it is loaded enough to have a root.
    """
    mean = overlap.diagonal(dim1=-2, dim2=-1).real.mean(-1)[:, None, None] + 1e-30
    eye = torch.eye(overlap.shape[-1], dtype=overlap.dtype, device=overlap.device)
    root, failed = torch.linalg.cholesky_ex(overlap + _LOAD * mean * eye)
    pivots, own = (x.diagonal(dim1=-2, dim2=-1).real for x in (root, overlap))
    # A source that takes no part has no energy of its own, and loses nothing.
    lost = (failed > 0) | ((pivots.square() < _LOST * mean[..., 0]) & (own > 0.0)).any(-1)
    heavy = torch.linalg.cholesky_ex(overlap + _HEAVY * mean * eye).L
    return torch.where(lost[:, None, None], heavy, root)


def project(
    panel: Panel, equations: Equations, points: Tensor, present: Tensor | None = None
) -> Projection:
    """The best gains of sources at these points (B, k, 3), and the slopes there.

    Sources that are not `present` (B, k) take no part: neither gain nor slope.
    """
    count = points.shape[1]
    columns = torch.cat(steering_slopes(panel, *points.unbind(-1)), dim=1)
    if present is not None:
        columns = columns * present.repeat(1, 4).unsqueeze(-1)
    through = equations.through(columns)
    blocks = (through @ columns.mT).to(torch.complex128)
    matched = (columns.conj() @ equations.matched).to(torch.complex128)
    overlap = blocks[:, :count, :count]
    root = loaded_root(overlap)
    sides = torch.cat([matched[:, :count], blocks[:, :count, count:]], dim=-1)
    white = torch.linalg.solve_triangular(root, sides, upper=False)
    width = matched.shape[-1]
    answers, slopes = white[..., :width], white[..., width:]
    gains = torch.linalg.solve_triangular(root.mH, answers, upper=True)
    spread = gains.repeat(1, 3, 1)
    left_over = matched[:, count:] - slopes.mH @ answers
    rest = blocks[:, count:, count:] - slopes.mH @ slopes
    return Projection(
        points=points,
        gains=gains,
        misfit=equations.energy - torch.view_as_real(answers).square().sum((-3, -2, -1)),
        slope=(spread.conj() * left_over).real.sum(-1),
        curvature=(rest * (spread.conj() @ spread.mT)).real,
        overlap=overlap,
        seen=through[:, :count],
    )


def refine(
    setting: Setting,
    equations: Equations,
    points: Tensor,
    tolerance: Tensor,
    present: Tensor | None = None,
    steps: int = 14,
) -> Projection:
    """Move the points jointly downhill, inside the view; none raises the misfit beyond rounding.

    Args:
        setting: Panel and view.
        equations: What is to be fitted.
        points: Where to start, (B, k, 3).
        tolerance: A scene is settled when a full step promises less than this, (B,) float64.
        present: Which sources take part, (B, k); all by default.
        steps: How many at most.
    """
    start = project(setting.panel, equations, setting.view.clamp(points), present)
    damping = torch.full_like(start.misfit, _DAMPING)
    return _descend(setting, Task(equations, tolerance, present), start, damping, steps)


@dataclass(frozen=True)
class Task:
    """What stays the same from step to step."""

    equations: Equations
    tolerance: Tensor
    present: Tensor | None

    def __getitem__(self, scenes: Tensor) -> "Task":
        present = None if self.present is None else self.present[scenes]
        return Task(self.equations[scenes], self.tolerance[scenes], present)


def advance(
    setting: Setting, equations: Equations, points: Tensor, tolerance: Tensor, steps: int
) -> Projection:
    """Move the points as `refine` does, by so many steps, without waiting for the device."""
    task = Task(equations, tolerance, None)
    best = project(setting.panel, equations, setting.view.clamp(points))
    damping = torch.full_like(best.misfit, _DAMPING)
    going = torch.ones_like(damping, dtype=torch.bool)
    for _ in range(steps):
        step = damped_step(best.slope, best.curvature, damping, held(setting.view, best))
        going &= (best.slope * step).sum(-1) > tolerance
        best, damping = _stepped(setting, task, best, damping, (step, going))
    return best


def _descend(
    setting: Setting, task: Task, best: Projection, damping: Tensor, steps: int
) -> Projection:
    """Levenberg-Marquardt steps; once most scenes are settled, the rest go on alone.

    A scene's way is its own: once settled it stays, and who goes on keeps its damping, so that no
    answer depends on which scenes are searched beside it.
    """
    going = torch.ones_like(damping, dtype=torch.bool)
    for taken in range(steps):
        step = damped_step(best.slope, best.curvature, damping, held(setting.view, best))
        going &= (best.slope * step).sum(-1) > task.tolerance
        left = int(going.sum())
        if left == 0:
            break
        if left < _CROWD * len(going):
            scenes = going.nonzero().squeeze(-1)
            rest = _descend(setting, task[scenes], best[scenes], damping[scenes], steps - taken)
            return best.replaced(scenes, rest)
        best, damping = _stepped(setting, task, best, damping, (step, going))
    return best


def _stepped(
    setting: Setting, task: Task, best: Projection, damping: Tensor, move: tuple[Tensor, Tensor]
) -> tuple[Projection, Tensor]:
    """The fit after a step (B, 3 k) of scenes that go on (B,), kept where it is a better one."""
    step, going = move
    tried = project(setting.panel, task.equations, moved(setting, best.points, step), task.present)
    rounding = _ROUNDING * task.equations.energy
    better = (tried.misfit < best.misfit + rounding) & (tried.misfit > -rounding)
    damping = torch.where(better, 0.2 * damping, 8.0 * damping).clamp(1e-6, 1e6)
    return tried.where(better & going, best), damping


def held(view: View, fit: Projection) -> Tensor:
    """Coordinates (B, 3 k) that their limit keeps from moving."""
    push = by_source(fit.slope)
    return by_coordinate(view.held(fit.points, push))


def damped_step(slope: Tensor, curvature: Tensor, damping: Tensor, still: Tensor) -> Tensor:
    """Solve (curvature + damping diag) step = slope over the coordinates that are free to move."""
    free = (~still).to(slope)
    diagonal = curvature.diagonal(dim1=-2, dim2=-1).clamp(min=1e-300)
    ridge = torch.where(still, diagonal, damping.unsqueeze(-1) * diagonal)
    system = curvature * free.unsqueeze(-1) * free.unsqueeze(-2) + torch.diag_embed(ridge)
    step: Tensor = torch.linalg.solve_ex(system, (slope * free).unsqueeze(-1)).result
    return step.squeeze(-1).nan_to_num(0.0, 0.0, 0.0)


def moved(setting: Setting, points: Tensor, step: Tensor) -> Tensor:
    """Points after a step (B, 3 k), shortened to stay on their lobes and kept inside the view."""
    view, reach = setting.view, _reach(setting.panel, setting.view, points.device)
    shift = by_source(step)
    longest = (shift.abs() / reach).amax((-2, -1), keepdim=True).clamp(min=1.0)
    return view.clamp(points + (shift / longest).to(points.dtype))


@lru_cache(maxsize=8)
def _reach(panel: Panel, view: View, device: torch.device) -> Tensor:
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
