"""Normal equations of frames, in double and in single precision."""

import torch

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
