"""What the sources send, the channel from panel to base station, and what the station receives.

    y_l = H diag(c_l) x_l + w_l,   x_l = sum_k a_k amplitude_k s_kl
    H = sqrt(k / (k + 1)) H_los + sqrt(1 / (k + 1)) H_nlos,   E |H|_F^2 = N for every k

H_los = sqrt(N) a_station a_panel^T with unit vectors, so its energy is N like that of H_nlos, whose
entries are CN(0, 1/M). No conjugate: an element's path to the station turns the phase as the path
from a source there would.
"""

import math
from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor

from risexp.physics.geometry import Panel, direction_cosines
from risexp.physics.steering import steering_vector

Symbols = Literal["frame", "snapshot"]
PowerLaw = Literal["free_space", "equal"]

_SCENES = 32
"""Scenes handled at once: their coded fields stay in cache."""


def path_amplitude(law: PowerLaw, range_m: Tensor, wavelength_m: float) -> Tensor:
    """Amplitude of a source by its range: lambda / (4 pi r), or 1 under `equal`."""
    if law == "equal":
        return torch.ones_like(range_m)
    return wavelength_m / (4.0 * math.pi * range_m)


def draw_symbols(law: PowerLaw, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Symbols of mean power 1, complex64: CN(0, 1), or of modulus 1 and any phase under `equal`."""
    device = generator.device
    if law == "equal":
        phase = (
            2.0
            * math.pi
            * torch.rand(shape, dtype=torch.float32, generator=generator, device=device)
        )
        return torch.polar(torch.ones_like(phase), phase)
    return torch.randn(shape, dtype=torch.complex64, generator=generator, device=device)


def received(channel: Tensor, codes: Tensor, field: Tensor) -> Tensor:
    """Noiseless measurements H diag(c_l) x_l, (B, L, M) complex.

    `channel` is (B, M, N), `codes` (L, N) or (B, L, N), and the `field` x_l at the elements
    (B, L, N), or (B, 1, N) where it is held over the snapshots.
    """
    parts = pieces(_SCENES, channel, codes, field)
    return torch.cat([(code * wave) @ part.mT for part, code, wave in parts])


def coded(channel: Tensor, codes: Tensor, waves: Tensor) -> Tensor:
    """H diag(c_l) x_k of several waves under every code, (B, L, k, M) complex.

    `channel` is (B, M, N), `codes` (L, N) or (B, L, N), `waves` x_k (B, k, N), all complex.
    """
    masked = codes.unsqueeze(-2) * waves.unsqueeze(-3)
    return masked @ channel.mT.unsqueeze(-3)


def pieces(
    scenes: int, channel: Tensor, codes: Tensor, waves: Tensor
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Channel, codes and waves of a few scenes at a time; codes of two axes belong to all scenes.

    Raises:
        ValueError: The three speak of different numbers of scenes.
    """
    batches = {len(channel), len(waves), len(codes) if codes.ndim == 3 else len(channel)}
    if len(batches) > 1:
        message = f"channel, codes and waves hold {sorted(batches)} scenes: give each the same"
        raise ValueError(message)
    parts = torch.split(channel, scenes)
    per_scene = torch.split(codes, scenes) if codes.ndim == 3 else (codes,) * len(parts)
    return zip(parts, per_scene, torch.split(waves, scenes), strict=True)


def stacked_operator(channel: Tensor, codes: Tensor) -> Tensor:
    """G = [H diag(c_l)]_l as one matrix, (B, L M, N); snapshot-major like y flattened."""
    batch, antennas, elements = channel.shape
    return (channel.unsqueeze(-3) * codes.unsqueeze(-2)).reshape(
        batch, codes.shape[-2] * antennas, elements
    )


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
