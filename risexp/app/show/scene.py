"""One scene of a frozen set, in numbers and as a picture: sources, SNR and refocused image."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from matplotlib.patheffects import withStroke
from torch import Tensor

from risexp.app.benchmark.figure_style import COLOURS, new_figure
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

_COLOURS = (*COLOURS, "#888888")
_FLOOR_DB = -25.0
_PLANES = 12
_GRID = (91, 181)


@dataclass(frozen=True)
class SourceSeen:
    """One source of a scene, in degrees, metres and decibels."""

    phi_deg: float
    theta_deg: float
    range_m: float
    snr_db: float


@dataclass(frozen=True)
class SceneSeen:
    """One scene, strongest source first."""

    index: int
    split: str
    snr_db: float
    sources: tuple[SourceSeen, ...]


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


def draw_scene(
    scene: SceneSeen, image_db: Tensor, field: DataConfig, panel_m: float, path: Path
) -> None:
    """Write a scene's three views side by side as a PNG file.

    Args:
        scene: The scene.
        image_db: Power over directions in dB below its peak, (theta, phi).
        field: The field of view that the image covers.
        panel_m: Width of the panel.
        path: The file.
    """
    figure = new_figure(4.4, 15.0)
    plan, loudness, image = figure.subplots(1, 3, width_ratios=(1.45, 0.75, 1.6))
    _draw_plan(plan, scene.sources, field, panel_m)
    _draw_loudness(loudness, scene)
    _draw_image(image, scene.sources, draw_directions(image, image_db, field, _FLOOR_DB))
    count = len(scene.sources)
    figure.suptitle(
        f"{scene.split} scene {scene.index}: {count} source{'s' if count > 1 else ''} "
        f"at {scene.snr_db:.1f} dB SNR",
        fontsize=13,
    )
    figure.savefig(path, format="png", dpi=130)


def _colour(rank: int) -> str:
    return _COLOURS[rank % len(_COLOURS)]


def _draw_plan(
    axes: Axes, sources: Sequence[SourceSeen], field: DataConfig, panel_m: float
) -> None:
    """The scene from above: the panel at the origin, its normal upwards."""
    reach = field.range_m[1]
    for edge in field.phi_deg:
        turn = math.radians(edge)
        axes.plot([0, reach * math.sin(turn)], [0, reach * math.cos(turn)], color="#bbbbbb", lw=1)
    for rank, source in enumerate(sources):
        phi, theta = math.radians(source.phi_deg), math.radians(source.theta_deg)
        across = source.range_m * math.sin(phi) * math.cos(theta)
        ahead = source.range_m * math.cos(phi) * math.cos(theta)
        axes.plot(across, ahead, "o", ms=9, color=_colour(rank), clip_on=False)
        axes.annotate(
            f"{rank + 1}", (across, ahead), xytext=(7, 3), textcoords="offset points", fontsize=11
        )
    half = panel_m / 2
    axes.plot([-half, half], [0, 0], color="black", lw=5, solid_capstyle="butt")
    axes.set(
        title="from above",
        xlabel="along h (m)",
        ylabel="in front of the panel (m)",
        xlim=(-reach, reach),
        ylim=(-0.4, reach * 1.02),
        aspect="equal",
    )


def _draw_loudness(axes: Axes, scene: SceneSeen) -> None:
    ranks = range(len(scene.sources))
    values = [source.snr_db for source in scene.sources]
    floor = min(*values, 0.0, scene.snr_db) - 5.0
    axes.bar(
        [str(rank + 1) for rank in ranks],
        [value - floor for value in values],
        bottom=floor,
        color=[_colour(rank) for rank in ranks],
        width=0.6,
    )
    for level, label in ((scene.snr_db, "whole scene"), (0.0, "noise")):
        axes.axhline(level, color="black", lw=1, ls="--")
        axes.annotate(
            label,
            (1.0, level),
            xycoords=("axes fraction", "data"),
            xytext=(-3, 3),
            textcoords="offset points",
            ha="right",
            fontsize=9,
        )
    axes.margins(y=0.12)
    axes.set(title="SNR of each source", xlabel="source", ylabel="dB")


def draw_directions(axes: Axes, values_db: Tensor, field: DataConfig, low_db: float) -> AxesImage:
    """Draw values (theta, phi) in dB below their peak over the directions of a view."""
    return axes.imshow(
        values_db.tolist(),
        origin="lower",
        extent=(*field.phi_deg, *field.theta_deg),
        aspect="auto",
        cmap="magma",
        vmin=low_db,
        vmax=0.0,
    )


def _draw_image(axes: Axes, sources: Sequence[SourceSeen], drawn: AxesImage) -> None:
    for rank, source in enumerate(sources):
        right, high = source.phi_deg > 0.0, source.theta_deg > 0.0
        axes.plot(source.phi_deg, source.theta_deg, "o", ms=13, mfc="none", mec="white", mew=1.6)
        axes.annotate(
            f"{rank + 1}: {source.range_m:.1f} m",
            (source.phi_deg, source.theta_deg),
            xytext=(-10 if right else 10, -10 if high else 10),
            textcoords="offset points",
            ha="right" if right else "left",
            va="top" if high else "bottom",
            color="white",
            fontsize=10,
            path_effects=[withStroke(linewidth=2.5, foreground="black")],
        )
    axes.figure.colorbar(drawn, ax=axes, label="dB below the peak", pad=0.01)
    axes.set(
        title="refocused image, best of the range planes",
        xlabel="azimuth phi (deg)",
        ylabel="elevation theta (deg)",
    )
