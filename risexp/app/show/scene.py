"""One scene of a frozen set, in numbers and as a picture."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from risexp.app.show.scene_picture import SceneSeen, SourceSeen, draw_scene
from risexp.config.measurement import DataConfig, PhysicsConfig
from risexp.config.run import RunConfig
from risexp.covariance.effective import effective
from risexp.covariance.factored import FactoredCovariance
from risexp.covariance.sampled import sampled_covariance
from risexp.data.frames import Scenes
from risexp.data.scenes import panel_of, source_snr_db
from risexp.data.shards import FrozenSet
from risexp.physics.geometry import direction_cosines
from risexp.physics.steering import steering_vector

_PLANES = 12
_GRID = (91, 181)


def show_scene(folder: Path, index: int, picture: Path, config: RunConfig) -> SceneSeen:
    """Describe a scene and draw it into a PNG file.

    The image is the power a^H R a of the effective sampled covariance over the view; each direction
    shows its best of a few ranges, evenly spaced in 1 / r.
    """
    frozen = FrozenSet.open(folder)
    scenes = frozen.scenes(index, 1)
    seen = SceneSeen(
        index=index,
        split=frozen.manifest.split,
        snr_db=round(float(snr_of(scenes)[0]), 2),
        sources=sources_of(frozen.physics, scenes),
    )
    field = drawn_field(frozen.manifest.config.data)
    power = power_of(sampled_effective(config, frozen.physics, scenes))
    image_db = decibels(best_of_planes(frozen.physics, field, power))
    panel = panel_of(frozen.physics)
    width = panel.spacing_m * panel.elements_h
    draw_scene(seen, image_db, field, width, picture)
    return seen


def sampled_effective(
    config: RunConfig, physics: PhysicsConfig, scenes: Scenes
) -> FactoredCovariance:
    """The effective sampled covariances of scenes, as a configuration regularises them."""
    frames = scenes.frames
    method, ridge = config.sampled.method_for(physics.symbols), config.sampled.ridge
    sampled = sampled_covariance(method, frames.y, frames.channel, frames.codes, ridge)
    return effective(sampled, snr_of(scenes), alpha_base=config.covariance.alpha_base)


def power_of(seen: FactoredCovariance) -> Callable[[Tensor], Tensor]:
    """a^H R a of steering vectors (..., N), by the covariance of one scene."""
    return lambda steering: (
        (steering.conj() @ seen.factor[0]).abs().square().sum(-1) + seen.diagonal[0]
    )


def best_of_planes(
    physics: PhysicsConfig, field: DataConfig, power: Callable[[Tensor], Tensor]
) -> Tensor:
    """The best of a few ranges, evenly spaced in 1 / r, of a power of steering vectors.

    `power` takes vectors (theta, phi, N) of the directions of a view; the result is (theta, phi).
    """
    panel = panel_of(physics)
    theta, phi = torch.meshgrid(
        torch.linspace(*field.theta_deg, _GRID[0]).deg2rad(),
        torch.linspace(*field.phi_deg, _GRID[1]).deg2rad(),
        indexing="ij",
    )
    u, v = direction_cosines(phi, theta)
    best = torch.zeros_like(u)
    for rho in torch.linspace(1.0 / field.range_m[1], 1.0 / field.range_m[0], _PLANES).tolist():
        steering = steering_vector(panel, u, v, torch.full_like(u, rho))
        best = torch.maximum(best, power(steering))
    return best


def decibels(power: Tensor) -> Tensor:
    """Below the largest value, at most 60 dB."""
    return 10.0 * (power / power.max().clamp(min=1e-30)).clamp(min=1e-6).log10()


def drawn_field(field: DataConfig) -> DataConfig:
    """A field of view with some width to draw, where the scenes stand in one direction."""
    around = {
        name: (low - 5.0, high + 5.0)
        for name, (low, high) in (("phi_deg", field.phi_deg), ("theta_deg", field.theta_deg))
        if low == high
    }
    return field.model_copy(update=around)


def snr_of(scenes: Scenes) -> Tensor:
    """The SNR of each scene, (B,) dB; NaN where none is known."""
    snr_db = scenes.frames.snr_db
    return torch.full((len(scenes),), torch.nan) if snr_db is None else snr_db


def sources_of(physics: PhysicsConfig, scenes: Scenes) -> tuple[SourceSeen, ...]:
    """The sources of one scene, the loudest first."""
    truth = scenes.truth
    columns = torch.stack(
        [
            truth.phi_rad[0].rad2deg(),
            truth.theta_rad[0].rad2deg(),
            truth.range_m[0],
            source_snr_db(panel_of(physics), scenes)[0].double(),
        ],
        dim=-1,
    )
    rows = columns[truth.present[0]].tolist()
    rows.sort(key=lambda row: -row[3])
    return tuple(SourceSeen(*(round(value, 3) for value in row)) for row in rows)
