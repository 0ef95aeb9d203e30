"""Normal equations of frames, and how their coordinates turn with angles and ranges."""

import torch
from torch import Tensor

from risexp.data.frames import Frames
from risexp.estimation.projection import Equations
from tests.support.localisation import plain_measured, plain_operator


def plain_equations(frames: Frames) -> Equations:
    """The normal equations in double precision."""
    operator, y = plain_operator(frames), plain_measured(frames)
    matched = operator.mH @ y.unsqueeze(-1)
    return Equations(operator.mH @ operator, matched, y.abs().square().sum(-1))


def single(equations: Equations) -> Equations:
    """The same as localisers have them."""
    gram = equations.gram
    return Equations(
        None if gram is None else gram.to(torch.complex64),
        equations.matched.to(torch.complex64),
        equations.energy,
    )


def turning(phi: Tensor, theta: Tensor, range_m: Tensor) -> Tensor:
    """Slopes of (u, v, rho) along (phi, theta, range), (B, 3 k, 3 k); all sources, axis by axis."""
    zero = torch.zeros_like(phi)
    rows = (
        (phi.cos() * theta.cos(), -phi.sin() * theta.sin(), zero),
        (zero, theta.cos(), zero),
        (zero, zero, -range_m.square().reciprocal()),
    )
    return torch.cat([torch.cat([x.diag_embed() for x in row], dim=-1) for row in rows], dim=-2)
