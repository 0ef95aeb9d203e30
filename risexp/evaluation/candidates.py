"""Candidate positions of a scene, their echoes, and random numbers that belong to one scene.

The true sources come first; dummies drawn from the scenes' own law fill the slots after them. A
random stream is named by the scene's true positions and by its purpose, so a reference does not
depend on the set the scene is scored in, on its place there, or on how the set is cut.
"""

import hashlib
from collections.abc import Iterator

import torch
from torch import Tensor

from risexp.config.measurement import DataConfig
from risexp.data.frames import Frames, Truth
from risexp.physics.geometry import Panel, direction_cosines
from risexp.physics.signals import Symbols
from risexp.physics.steering import steering_vector


def scene_normals(truth: Truth, purpose: str, shape: tuple[int, ...]) -> Tensor:
    """N(0, 1) draws of every scene's own, (B, *shape) float64 on the scenes' device."""
    answer = torch.empty(len(truth), *shape, dtype=torch.float64)
    for row, generator in zip(answer, _generators(truth, purpose), strict=True):
        row.normal_(generator=generator)
    return answer.to(truth.count.device)


def scene_uniforms(truth: Truth, purpose: str, shape: tuple[int, ...]) -> Tensor:
    """U(0, 1) draws of every scene's own, (B, *shape) float64 on the scenes' device."""
    answer = torch.empty(len(truth), *shape, dtype=torch.float64)
    for row, generator in zip(answer, _generators(truth, purpose), strict=True):
        row.uniform_(generator=generator)
    return answer.to(truth.count.device)


def _generators(truth: Truth, purpose: str) -> Iterator[torch.Generator]:
    """One fresh CPU generator a scene."""
    rows = torch.cat([truth.phi_rad, truth.theta_rad, truth.range_m], dim=-1).cpu().numpy()
    for row in rows:
        digest = hashlib.sha256(f"risexp {purpose} ".encode() + row.tobytes()).digest()
        # A torch generator on CPU keeps 32 bits; two scenes in one stream would do no harm.
        yield torch.Generator().manual_seed(int.from_bytes(digest[:4], "little"))


Positions = tuple[Tensor, Tensor, Tensor]
"""phi (rad), theta (rad) and range (m) of K_MAX positions a scene, (B, K_MAX) float64 each."""


def candidates(data: DataConfig, truth: Truth) -> Positions:
    """The true positions, and dummies in the slots beyond the count; all lie inside the view.

    Dummies are uniform over the field of view; `data.separation_deg` does not move them.
    """
    share = scene_uniforms(truth, "dummies", (3, truth.phi_rad.shape[1]))
    phi_deg, theta_deg, range_m = (
        low + (high - low) * share[:, axis]
        for axis, (low, high) in enumerate((data.phi_deg, data.theta_deg, data.range_m))
    )
    return (
        truth.phi_rad.where(truth.present, phi_deg.deg2rad()),
        truth.theta_rad.where(truth.present, theta_deg.deg2rad()),
        truth.range_m.where(truth.present, range_m),
    )


def responses(symbols: Symbols, panel: Panel, frames: Frames, where: Positions) -> Tensor:
    """What the base station receives of a unit wave from each candidate, in looks at one gain.

    A look is what one draw of the symbols explains: under `frame` the whole scene, T = 1 and
    S = L M; under `snapshot` each snapshot by itself, T = L and S = M.

    Returns:
        (B, T, S, K_MAX) complex128.
    """
    u, v = direction_cosines(*where[:2])
    steering = steering_vector(panel, u, v, where[2].reciprocal())
    coded = frames.codes.to(steering.dtype).unsqueeze(-2) * steering.unsqueeze(1)
    echo = coded.flatten(1, 2) @ frames.channel.to(steering.dtype).mT
    batch, snapshots, antennas = frames.y.shape
    echo = echo.view(batch, snapshots, steering.shape[1], antennas).mT
    return echo.flatten(1, 2).unsqueeze(1) if symbols == "frame" else echo


def measured(symbols: Symbols, frames: Frames) -> Tensor:
    """The measurements in the same looks, (B, T, S) complex128."""
    y = frames.y.to(torch.complex128)
    return y.flatten(1, 2).unsqueeze(1) if symbols == "frame" else y
