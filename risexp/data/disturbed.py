"""Disturbed scenes: their physics differs from the model of the receiver.

    y' = y + H diag(c_l) (x' - x)

x is the field of the truth and x' the disturbed one, so the noise is the same realisation, and a
disturbance of nothing returns the same bits. Channel, codes and SNR stay as the receiver is told.

Where the sources themselves change, their noise is scaled with them: their SNR stays true.
"""

import math
from dataclasses import replace

import torch
from torch import Tensor

from risexp.config.measurement import DataConfig
from risexp.data.frames import Scenes, Truth
from risexp.data.scenes import source_steering
from risexp.errors import ConfigInvalid, DataInvalid
from risexp.physics.geometry import Panel, direction_cosines
from risexp.physics.signals import received

BEARINGS = 360
"""Directions around the first source of a pair in which the second may stand."""
_EDGE_DEG = 1e-9
"""Rounding error of an angle at a limit of the view."""


def seen_through(panel: Panel, scenes: Scenes, gain: Tensor) -> Scenes:
    """Scenes with gains of the panel that the receiver does not know.

    `gain` (B, 1 or K_MAX, N), real or complex, is of each element on each source's wave.
    """
    steering = source_steering(panel, scenes.truth)
    return _heard(scenes, scenes.truth.gains @ (steering * (gain - 1.0).to(steering.dtype)))


def wave_amplitude(panel: Panel, truth: Truth) -> Tensor:
    """Amplitude of a spherical wave over that at the panel's centre, (B, K_MAX, N) float64.

        r / |p - p_n|,   |p - p_n|^2 = r^2 - 2 r s_n + p_n^2

    with s_n the element's projection on the direction. Absent sources have no meaningful value.
    """
    present = truth.present
    r = torch.where(present, truth.range_m, 1.0).unsqueeze(-1)
    phi, theta = (torch.where(present, each, 0.0) for each in (truth.phi_rad, truth.theta_rad))
    u, v = (cosine.unsqueeze(-1) for cosine in direction_cosines(phi, theta))
    h_m, v_m = panel.positions(r.dtype, r.device)
    square = r.square() - 2.0 * r * (u * h_m + v * v_m) + h_m.square() + v_m.square()
    return r / square.clamp(min=1e-12).sqrt()


def with_shared_stream(
    panel: Panel, scenes: Scenes, correlation: float, turn_rad: Tensor
) -> Scenes:
    """Scenes whose sources send the stream of the first one in part.

        s_k' = c exp(j psi_k) s_1 + sqrt(1 - c^2) s_k,   k > 1

    with c within [0, 1] and psi_k = `turn_rad` (B, K_MAX), the phases of the paths. Any source is
    correlated by c with the first, any two others by c^2. The new symbols are true.
    """
    truth = scenes.truth
    if truth.symbols.shape[1] == 1:
        raise DataInvalid("held symbols are always coherent: draw fresh ones")
    turn = torch.polar(torch.ones_like(turn_rad), turn_rad).to(truth.symbols.dtype)
    shared = correlation * turn.unsqueeze(-2) * truth.symbols[..., :1]
    mixed = shared + math.sqrt(1.0 - correlation**2) * truth.symbols
    later = truth.present & (torch.arange(turn.shape[1], device=turn.device) > 0)
    symbols = torch.where(later.unsqueeze(-2), mixed, truth.symbols)
    changed = replace(truth, symbols=symbols)
    change = (changed.gains - truth.gains) @ source_steering(panel, truth)
    return Scenes(_heard(scenes, change).frames, changed)


def with_equal_power(panel: Panel, scenes: Scenes) -> Scenes:
    """The same scenes under the law `equal`: amplitude 1, and only the phases of the symbols."""
    truth = scenes.truth
    amplitude = truth.present.to(truth.amplitude)
    return _restaged(
        panel, scenes, replace(truth, symbols=truth.symbols.sgn(), amplitude=amplitude)
    )


def with_first_two(panel: Panel, scenes: Scenes) -> Scenes:
    """The same scenes with the first two sources only."""
    return _restaged(panel, scenes, _first_two(scenes.truth))


def with_close_pair(
    panel: Panel, scenes: Scenes, separation_deg: float, view: DataConfig, chance: Tensor
) -> Scenes:
    """Pairs a given angle apart: the first source, and the second turned to its side.

    Each keeps its own range. Of `chance`, U(0, 1) draws (B, BEARINGS), the highest one inside the
    view selects the bearing.
    """
    truth = _first_two(scenes.truth)
    phi, theta = _around(truth.phi_rad[:, 0], truth.theta_rad[:, 0], separation_deg)
    inside = _within(phi.rad2deg(), view.phi_deg) & _within(theta.rad2deg(), view.theta_deg)
    if not bool(inside.any(-1).all()):
        raise ConfigInvalid(
            f"a source of the field of view has no neighbour {separation_deg:g} deg away inside "
            "it: widen data.phi_deg or data.theta_deg, or leave close pairs out"
        )
    best = torch.where(inside, chance, -1.0).argmax(-1, keepdim=True)
    beside = [truth.phi_rad.clone(), truth.theta_rad.clone()]
    for angle, candidates in zip(beside, (phi, theta), strict=True):
        angle[:, 1] = candidates.gather(-1, best).squeeze(-1)
    return _restaged(panel, scenes, replace(truth, phi_rad=beside[0], theta_rad=beside[1]))


def mislabelled(scenes: Scenes, offset_db: float) -> Scenes:
    """The same measurements with a wrong SNR."""
    snr_db = scenes.frames.snr_db
    if snr_db is None:
        raise DataInvalid("frames without an SNR cannot be told a wrong one")
    return Scenes(replace(scenes.frames, snr_db=snr_db + offset_db), scenes.truth)


def _heard(scenes: Scenes, change: Tensor) -> Scenes:
    """The scenes once their field has changed, (B, 1 or L, N)."""
    frames = scenes.frames
    y = frames.y + received(frames.channel, frames.codes, change)
    return Scenes(replace(frames, y=y), scenes.truth)


def _restaged(panel: Panel, scenes: Scenes, truth: Truth) -> Scenes:
    """Other sources in front of the same panel, with the same noise at the same SNR."""
    frames = scenes.frames
    before, after = (
        received(frames.channel, frames.codes, each.gains @ source_steering(panel, each))
        for each in (scenes.truth, truth)
    )
    power = [clean.abs().square().mean((-2, -1)).clamp(min=1e-30) for clean in (before, after)]
    louder = power[1] / power[0]
    y = after + louder.sqrt()[:, None, None] * (frames.y - before)
    noise_power = scenes.truth.noise_power * louder
    return Scenes(replace(frames, y=y), replace(truth, noise_power=noise_power))


def _first_two(truth: Truth) -> Truth:
    if bool((truth.count < 2).any()):
        raise DataInvalid("a scene of one source holds no pair: choose scenes of two or more")
    kept = torch.arange(truth.phi_rad.shape[1], device=truth.count.device) < 2
    return replace(
        truth,
        count=torch.full_like(truth.count, 2),
        phi_rad=truth.phi_rad.where(kept, torch.nan),
        theta_rad=truth.theta_rad.where(kept, torch.nan),
        range_m=truth.range_m.where(kept, torch.nan),
        symbols=truth.symbols * kept,
        amplitude=truth.amplitude * kept,
    )


def _around(phi: Tensor, theta: Tensor, separation_deg: float) -> tuple[Tensor, Tensor]:
    """Directions on a circle around each of (B,), as azimuth and elevation, (B, BEARINGS) each.

    With d the direction and e, n the unit vectors to its east and north,

        d' = cos(separation) d + sin(separation) (cos(bearing) e + sin(bearing) n)
    """
    zero = torch.zeros_like(phi)
    direction = torch.stack([*direction_cosines(phi, theta), phi.cos() * theta.cos()])
    east = torch.stack([phi.cos(), zero, -phi.sin()])
    north = torch.stack([-phi.sin() * theta.sin(), theta.cos(), -phi.cos() * theta.sin()])
    turn = torch.arange(BEARINGS, dtype=phi.dtype, device=phi.device).mul(2.0 * math.pi / BEARINGS)
    away = math.radians(separation_deg)
    side = east.unsqueeze(-1) * turn.cos() + north.unsqueeze(-1) * turn.sin()
    turned = math.cos(away) * direction.unsqueeze(-1) + math.sin(away) * side
    u, v, w = turned.unbind(0)
    return torch.atan2(u, w), v.clamp(-1.0, 1.0).asin()


def _within(angle_deg: Tensor, limits: tuple[float, float]) -> Tensor:
    return (angle_deg >= limits[0] - _EDGE_DEG) & (angle_deg <= limits[1] + _EDGE_DEG)
