"""The channel from panel to base station: a line of sight and a scattered part of equal energy.

    H = sqrt(k / (k + 1)) H_los + sqrt(1 / (k + 1)) H_nlos,   E |H|_F^2 = N for every k

H_los = sqrt(N) a_station a_panel^T with unit vectors, so its energy is N like that of H_nlos, whose
entries are CN(0, 1/M). No conjugate: an element's path to the station turns the phase as the path
from a source there would.
"""

import math

import torch
from torch import Tensor

from risexp.physics.geometry import Panel, direction_cosines
from risexp.physics.steering import steering_vector


def line_of_sight(
    panel: Panel, antennas: int, phi_rad: Tensor, theta_rad: Tensor, range_m: float
) -> tuple[Tensor, Tensor]:
    """Both sides of H_los = station panel^T: (..., M) of norm sqrt(N), and (..., N) of norm 1.

    The station's line has the panel's element spacing and sees the panel in its far field.
    """
    u, v = direction_cosines(phi_rad, theta_rad)
    offset_m = torch.arange(antennas, dtype=u.dtype, device=u.device) - (antennas - 1) / 2
    phase = -panel.wavenumber * panel.spacing_m * offset_m * u.unsqueeze(-1)
    strength = torch.full_like(phase, math.sqrt(panel.elements / antennas))
    rho = torch.full_like(u, 1.0 / range_m)
    return torch.polar(strength, phase), steering_vector(panel, u, v, rho)


def rician_channel(
    scattered: Tensor, station: Tensor, panel_side: Tensor, factor: Tensor
) -> Tensor:
    """Mix the two parts of the channel.

    Args:
        scattered: CN(0, 1) draws, (B, M, N) complex; overwritten.
        station: Station side of the line of sight, (B, M) complex.
        panel_side: Panel side of the line of sight, (B, N) complex.
        factor: Line-of-sight over scattered energy (linear), (B,) real.

    Returns:
        H, (B, M, N) complex.
    """
    antennas = scattered.shape[-2]
    scattered *= (1.0 / ((factor + 1.0) * antennas)).sqrt()[:, None, None]
    direct = (factor / (factor + 1.0)).sqrt()[:, None] * station
    return scattered.baddbmm_(direct.unsqueeze(-1), panel_side.unsqueeze(-2))
