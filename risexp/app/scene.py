"""One scene of a frozen set, in numbers and as a picture."""

from pathlib import Path

import torch
from torch import Tensor

from risexp.app.scene_picture import Refocused, SceneSeen, SourceSeen, draw_scene
from risexp.config.run import RunConfig
from risexp.config.sections import DataConfig, PhysicsConfig
from risexp.covariance.effective import effective
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

    Args:
        folder: A frozen set, which brings its own physics and data.
        index: Which scene.
        picture: The file to write.
        config: How its covariance is sampled and regularised for the image.

    Raises:
        DataInvalid: The set or the scene does not exist, or its files are damaged.
    """
    frozen = FrozenSet.open(folder)
    scenes = frozen.scenes(index, 1)
    seen = SceneSeen(
        index=index,
        split=frozen.manifest.split,
        snr_db=round(float(_snr_db(scenes)[0]), 2),
        sources=_sources(frozen.physics, scenes),
    )
    field = _with_width(frozen.manifest.config.data)
    image = refocus(frozen.physics, scenes, field, config)
    panel = panel_of(frozen.physics)
    width = panel.spacing_m * panel.elements_h
    draw_scene(
        seen, Refocused(image, field.phi_deg, field.theta_deg, field.range_m, width), picture
    )
    return seen


def refocus(physics: PhysicsConfig, scenes: Scenes, field: DataConfig, config: RunConfig) -> Tensor:
    """Power a^H R a of the effective sampled covariance over the view, in dB below its peak.

    Each direction shows its best of a few ranges, evenly spaced in 1 / r.

    Returns:
        (theta, phi), one scene only.
    """
    frames, panel = scenes.frames, panel_of(physics)
    method, ridge = config.sampled.method_for(physics.symbols), config.sampled.ridge
    sampled = sampled_covariance(method, frames.y, frames.channel, frames.codes, ridge)
    seen = effective(sampled, _snr_db(scenes), alpha_base=config.covariance.alpha_base)
    theta, phi = torch.meshgrid(
        torch.linspace(*field.theta_deg, _GRID[0]).deg2rad(),
        torch.linspace(*field.phi_deg, _GRID[1]).deg2rad(),
        indexing="ij",
    )
    u, v = direction_cosines(phi, theta)
    best = torch.zeros_like(u)
    for rho in torch.linspace(1.0 / field.range_m[1], 1.0 / field.range_m[0], _PLANES).tolist():
        steering = steering_vector(panel, u, v, torch.full_like(u, rho))
        power = (steering.conj() @ seen.factor[0]).abs().square().sum(-1) + seen.diagonal[0]
        best = torch.maximum(best, power)
    return 10.0 * (best / best.max().clamp(min=1e-30)).clamp(min=1e-6).log10()


def _with_width(field: DataConfig) -> DataConfig:
    """A field of view with some width to draw, where the scenes stand in one direction."""
    around = {
        name: (low - 5.0, high + 5.0)
        for name, (low, high) in (("phi_deg", field.phi_deg), ("theta_deg", field.theta_deg))
        if low == high
    }
    return field.model_copy(update=around)


def _snr_db(scenes: Scenes) -> Tensor:
    snr_db = scenes.frames.snr_db
    return torch.full((len(scenes),), torch.nan) if snr_db is None else snr_db


def _sources(physics: PhysicsConfig, scenes: Scenes) -> tuple[SourceSeen, ...]:
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
