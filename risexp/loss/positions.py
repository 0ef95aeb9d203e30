"""How far two points are apart, in units that weigh alike: 5 deg, and a step of inverse range.

e(x) = x^2 / (2 knee) for |x| < knee, else |x| - knee / 2
error = (e(phi) + 1.5 e(theta) + e(rho)) / 3.5
"""

import math
from typing import Final

import torch
from torch import Tensor
from torch.nn.functional import smooth_l1_loss

Points = tuple[Tensor, Tensor, Tensor]
"""phi (rad), theta (rad) and rho (1/m), of one shape."""

ANGLE_UNIT_RAD: Final = math.radians(5.0)
"""Error of an angle that counts as one."""
THETA_WEIGHT: Final = 1.5
"""Of an error in elevation against one in azimuth or inverse range."""
KNEE: Final = 0.2
"""Units (1 deg) below which an error counts by its square; beyond it, all errors pull alike."""


def position_error(pointed: Points, true: Points, rho_unit: float) -> Tensor:
    """Weighted mean error over the three coordinates, of the shape the two broadcast to.

    Args:
        pointed: Where slots point.
        true: Where sources are.
        rho_unit: Error of the inverse range, in 1/m, that counts as one.
    """
    phi, theta, rho = (ours - theirs for ours, theirs in zip(pointed, true, strict=True))
    angles = _error(phi, ANGLE_UNIT_RAD) + THETA_WEIGHT * _error(theta, ANGLE_UNIT_RAD)
    return (angles + _error(rho, rho_unit)) / (2.0 + THETA_WEIGHT)


def _error(off: Tensor, unit: float) -> Tensor:
    return smooth_l1_loss(off / unit, torch.zeros_like(off), reduction="none", beta=KNEE)
