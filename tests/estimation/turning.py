"""How the coordinates of estimators turn with angles and ranges."""

import torch
from torch import Tensor


def turning(phi: Tensor, theta: Tensor, range_m: Tensor) -> Tensor:
    """Slopes of (u, v, rho) along (phi, theta, range), (B, 3 k, 3 k); all sources, axis by axis."""
    zero = torch.zeros_like(phi)
    rows = (
        (phi.cos() * theta.cos(), -phi.sin() * theta.sin(), zero),
        (zero, theta.cos(), zero),
        (zero, zero, -range_m.square().reciprocal()),
    )
    return torch.cat([torch.cat([x.diag_embed() for x in row], dim=-1) for row in rows], dim=-2)
