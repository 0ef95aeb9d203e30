"""Spectra of one scene: from the network's covariance and from the sampled one, with a picture."""

import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import torch
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from torch import Tensor

from risexp.app.benchmark.figure_style import STYLE, new_figure
from risexp.app.benchmark.methods import method_named
from risexp.app.serving.resolve_model import TrainedNetwork, load_trained
from risexp.app.show.scene import (
    SourceSeen,
    best_of_planes,
    decibels,
    draw_directions,
    drawn_field,
    power_of,
    sampled_effective,
    snr_of,
    sources_of,
)
from risexp.config.measurement import DataConfig
from risexp.config.run import RunConfig
from risexp.core.durable import write_new
from risexp.covariance.factored import FactoredCovariance
from risexp.data.frames import Scenes
from risexp.data.scenes import SceneGenerator
from risexp.data.streams import Split
from risexp.inference.estimate import Estimate

SPLIT: Final[Split] = "test"
_FLOOR: Final = 1e-4
"""Floor of the null spectrum as a share of all energy: sharper peaks look the same in a plot."""
_FLOOR_DB: Final = -25.0
_TRUE: Final[dict[str, Any]] = {"marker": "o", "ms": 11, "mfc": "none", "mec": "white", "mew": 1.4}
_MARKS: Final[Mapping[str, dict[str, Any]]] = {
    "network": {"marker": "x", "ms": 7, "mec": "#56b4e9", "mew": 2.0},
    "music": {"marker": "x", "ms": 7, "mec": "#56b4e9", "mew": 2.0},
    "nomp": {"marker": "+", "ms": 9, "mec": "#4dff9d", "mew": 1.8},
}
_NAMES: Final = {"network": "network", "music": "MUSIC on the samples", "nomp": "NOMP"}

Position = tuple[float, float, float]
"""phi (deg), theta (deg), range (m)."""


@dataclass(frozen=True)
class ShownSpectrum:
    """One covariance of a scene over the field of view, with estimated positions."""

    name: str
    music_db: Tensor
    """(theta, phi): 1 / (1 - |U^H a|^2) at the best of a few ranges, in dB below its peak."""
    power_db: Tensor
    """(theta, phi): a^H R a, likewise."""
    count: int
    positions: Mapping[str, tuple[Position, ...]]


@dataclass(frozen=True)
class SpectraSeen:
    """A scene with its spectra."""

    run: str
    epoch: int
    scene: int
    snr_db: float
    sources: tuple[SourceSeen, ...]
    """True sources, the loudest first."""
    shown: tuple[ShownSpectrum, ...]
    field: DataConfig

    def as_json(self) -> dict[str, Any]:
        """Positions as plain values, without the spectra."""
        return {
            "run": self.run,
            "epoch": self.epoch,
            "split": SPLIT,
            "scene": self.scene,
            "snr_db": self.snr_db,
            "sources": [asdict(each) for each in self.sources],
            "found": {
                name: [list(position) for position in positions]
                for each in self.shown
                for name, positions in each.positions.items()
            },
        }


def show_spectra(name: str, scene: int, snr_db: float | None, device: torch.device) -> SpectraSeen:
    """Compute both spectra of a test scene, at its own SNR or another one in dB."""
    network = load_trained(name, device)
    config = network.config
    if snr_db is not None:
        config = config.replace({"data.snr_db": [snr_db, snr_db]})
    scenes = SceneGenerator(config.physics, config.data).scenes(SPLIT, scene, 1)
    field = drawn_field(config.data)
    return SpectraSeen(
        run=network.bundle.run_id,
        epoch=network.bundle.epoch,
        scene=scene,
        snr_db=round(float(snr_of(scenes)[0]), 2),
        sources=sources_of(config.physics, scenes),
        shown=(_of_network(network, scenes, field), _of_samples(config, scenes, field)),
        field=field,
    )


def _of_network(network: TrainedNetwork, scenes: Scenes, field: DataConfig) -> ShownSpectrum:
    predictor, config = network.predictor, network.config
    frames = scenes.frames.to(predictor.device)
    with torch.no_grad():
        covariance = predictor.predict(frames).effective.to("cpu")
    estimate = predictor(frames).to("cpu")
    return _shown("network", covariance, config, field, {"network": estimate})


def _of_samples(config: RunConfig, scenes: Scenes, field: DataConfig) -> ShownSpectrum:
    covariance = sampled_effective(config, config.physics, scenes)
    estimates = {name: method_named(name, config)(scenes) for name in ("music", "nomp")}
    return _shown("samples", covariance, config, field, estimates)


def _shown(
    name: str,
    covariance: FactoredCovariance,
    config: RunConfig,
    field: DataConfig,
    estimates: Mapping[str, Estimate],
) -> ShownSpectrum:
    """Spectra over the view; the signal subspace has the first estimate's count."""
    count = max(int(next(iter(estimates.values())).count[0]), 1)

    def sharpness(steering: Tensor) -> Tensor:
        columns = steering.reshape(-1, steering.shape[-1]).mT
        null = covariance.music(columns, count)[0].clamp(min=_FLOOR)
        return null.reciprocal().view(steering.shape[:2])

    return ShownSpectrum(
        name,
        decibels(best_of_planes(config.physics, field, sharpness)),
        decibels(best_of_planes(config.physics, field, power_of(covariance))),
        count,
        {method: _positions_of(estimate) for method, estimate in estimates.items()},
    )


def _positions_of(estimate: Estimate) -> tuple[Position, ...]:
    columns = torch.stack(
        [estimate.phi_rad[0].rad2deg(), estimate.theta_rad[0].rad2deg(), estimate.range_m[0]],
        dim=-1,
    )
    positions: list[list[float]] = columns[estimate.present[0]].tolist()
    return tuple((round(phi, 3), round(theta, 3), round(far, 3)) for phi, theta, far in positions)


def write_spectra(seen: SpectraSeen, path: Path) -> None:
    """Draw the spectra into a new PNG file."""
    stream = io.BytesIO()
    _draw_spectra(seen).savefig(stream, format="png", dpi=130)
    write_new(path, stream.getvalue())


def _draw_spectra(seen: SpectraSeen) -> Figure:
    """Both covariances over the field of view, true and estimated positions marked."""
    with rc_context(STYLE):
        figure = new_figure(6.6, 10.0)
        panels = figure.subplots(2, 2, sharex=True, sharey=True)
        for shown, (left, right) in zip(seen.shown, panels, strict=True):
            source = "network's covariance" if shown.name == "network" else "sampled covariance"
            counted = f"{source}: MUSIC for {shown.count} source{'s' if shown.count > 1 else ''}"
            for axes, values, title in (
                (left, shown.music_db, counted),
                (right, shown.power_db, f"{source}: power"),
            ):
                # Low peaks of a flat spectrum must be visible, too.
                low_db = max(_FLOOR_DB, min(float(values.min()), -1.0))
                image = draw_directions(axes, values, seen.field, low_db)
                _mark(axes, seen, shown)
                axes.set_title(title)
                figure.colorbar(image, ax=axes, label="dB below the peak", pad=0.01)
            left.set_ylabel("elevation theta (deg)")
        for axes in panels[1]:
            axes.set_xlabel("azimuth phi (deg)")
        _name(figure, seen)
        return figure


def _mark(axes: Axes, seen: SpectraSeen, shown: ShownSpectrum) -> None:
    for source in seen.sources:
        axes.plot(source.phi_deg, source.theta_deg, ls="", clip_on=False, **_TRUE)
    for method, positions in shown.positions.items():
        for phi, theta, _ in positions:
            axes.plot(phi, theta, ls="", clip_on=False, **_MARKS[method])


def _name(figure: Figure, seen: SpectraSeen) -> None:
    lines = [Line2D([], [], ls="", **{**_TRUE, "mec": "#888888"})]
    names = [f"true ({len(seen.sources)})"]
    for shown in seen.shown:
        for method, positions in shown.positions.items():
            lines.append(Line2D([], [], ls="", **_MARKS[method]))
            names.append(f"{_NAMES[method]} ({len(positions)})")
    figure.suptitle(
        f"run {seen.run}, epoch {seen.epoch}: test scene {seen.scene} at {seen.snr_db:.1f} dB SNR, "
        "best of the range planes"
    )
    figure.legend(lines, names, loc="outside lower center", ncols=len(lines))
