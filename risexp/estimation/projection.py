"""Fit point sources to linear measurements: gains in closed form, positions by Gauss-Newton.

Minimise |Y - G A(p) S|^2 over the positions p of k sources and their gains S (variable projection:
G. H. Golub, V. Pereyra, Inverse Problems 19, 2003). With W = G^H G, b = G^H Y, and D_j the slope of
A along a coordinate j, all blocks of the step come from one product X^H W X, X = [A, D]:

    S = (A^H W A)^-1 A^H b,                 r = b - W A S
    slope_j = Re tr(S_j^H D_j^H r),         curvature_ij = Re((D_i^H W_p D_j) (S_j S_i^H))

where W_p is W with the span of A projected out. Coordinates run over u of all sources, then v, then
rho.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from risexp.core.batch import TensorBatch
from risexp.physics.geometry import Panel
from risexp.physics.steering import steering_slopes, steering_vector

_LOAD = 1e-9
"""Relative load of A^H W A: coincident sources share a gain rather than have none."""
_LOST = 1e-6
_HEAVY = 8e-6
"""Relative pivots that single precision cannot tell from zero, and the load that lifts them."""


@dataclass(frozen=True)
class Equations(TensorBatch):
    """Normal equations of B scenes with q right-hand sides."""

    gram: Tensor | None
    """W = G^H G, (B, N, N) complex64; None where G is the identity."""
    matched: Tensor
    """b = G^H Y, (B, N, q) complex64."""
    energy: Tensor
    """|Y|^2, (B,) float64."""

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
class Solution(TensorBatch):
    """Sources at points, and their best gains."""

    points: Tensor
    """(B, k, 3) float32: u, v, rho."""
    gains: Tensor
    """S, (B, k, q) complex128."""
    misfit: Tensor
    """|Y - G A S|^2, (B,) float64."""
    overlap: Tensor
    """A^H W A, (B, k, k) complex128."""
    seen: Tensor
    """A^H W, (B, k, N) complex64."""


@dataclass(frozen=True)
class Projection(Solution):
    """A solution, and how its misfit turns as the points move."""

    slope: Tensor
    """(B, 3 k): minus half the gradient of the misfit."""
    curvature: Tensor
    """(B, 3 k, 3 k): half the Gauss-Newton Hessian of the misfit."""

    def solution(self) -> Solution:
        """The same without slopes."""
        return Solution(self.points, self.gains, self.misfit, self.overlap, self.seen)


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


def solve(panel: Panel, equations: Equations, points: Tensor) -> Solution:
    """The best gains of sources at these points (B, k, 3): a third of what `project` takes."""
    columns = steering_vector(panel, *points.unbind(-1))
    seen = equations.through(columns)
    overlap = (seen @ columns.mT).to(torch.complex128)
    matched = (columns.conj() @ equations.matched).to(torch.complex128)
    root = loaded_root(overlap)
    answers = torch.linalg.solve_triangular(root, matched, upper=False)
    return Solution(
        points=points,
        gains=torch.linalg.solve_triangular(root.mH, answers, upper=True),
        misfit=equations.energy - torch.view_as_real(answers).square().sum((-3, -2, -1)),
        overlap=overlap,
        seen=seen,
    )


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
