"""What a network's covariance shows of one scene, beside what the samples alone show."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import torch
from torch import Tensor

from risexp.app.benchmark.methods import method_named
from risexp.app.data.scene_picture import SourceSeen
from risexp.app.data.show_scene import (
    best_of_planes,
    decibels,
    drawn_field,
    power_of,
    snr_of,
    sources_of,
)
from risexp.app.serving.resolve_model import TrainedNetwork, load_trained
from risexp.config.measurement import DataConfig
from risexp.config.run import RunConfig
from risexp.covariance.effective import effective
from risexp.covariance.factored import FactoredCovariance
from risexp.covariance.sampled import sampled_covariance
from risexp.data.frames import Scenes
from risexp.data.scenes import SceneGenerator
from risexp.data.streams import Split
from risexp.inference.estimate import Estimate

SPLIT: Final[Split] = "test"
_FLOOR: Final = 1e-4
"""Of the null spectrum, as a share of all energy: below, a peak is as sharp as a plot can show."""

Position = tuple[float, float, float]
"""phi (deg), theta (deg), range (m)."""


@dataclass(frozen=True)
class ShownSpectrum:
    """One covariance of a scene over the field of view, and who was found in it."""

    name: str
    music_db: Tensor
    """(theta, phi): 1 / (1 - |U^H a|^2) at the best of a few ranges, in dB below its peak."""
    power_db: Tensor
    """(theta, phi): a^H R a, likewise."""
    count: int
    """The sources that the signal subspace is made for."""
    found: Mapping[str, tuple[Position, ...]]
    """Estimated positions by who estimated them."""


@dataclass(frozen=True)
class SpectraSeen:
    """A scene, and what is seen of it."""

    run: str
    epoch: int
    scene: int
    snr_db: float
    sources: tuple[SourceSeen, ...]
    """The true ones, the loudest first."""
    shown: tuple[ShownSpectrum, ...]
    field: DataConfig

    def as_json(self) -> dict[str, Any]:
        """The positions as plain values; the spectra are for the picture."""
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
                for name, positions in each.found.items()
            },
        }


def show_spectra(name: str, scene: int, snr_db: float | None, device: torch.device) -> SpectraSeen:
    """Look at a test scene of a network's own law with its covariance and with the sampled one.

    Args:
        name: Of a run, a checkpoint or a model.
        scene: Which one, counted from 0.
        snr_db: At which it is heard; None: as it is drawn.
        device: Where the network is computed.

    Raises:
        RisexpError: There is no such run, checkpoint or model, or no sound one.
    """
    found = load_trained(name, device)
    config = found.config
    if snr_db is not None:
        config = config.replace({"data.snr_db": [snr_db, snr_db]})
    scenes = SceneGenerator(config.physics, config.data).scenes(SPLIT, scene, 1)
    field = drawn_field(config.data)
    return SpectraSeen(
        run=found.bundle.run_id,
        epoch=found.bundle.epoch,
        scene=scene,
        snr_db=round(float(snr_of(scenes)[0]), 2),
        sources=sources_of(config.physics, scenes),
        shown=(_of_network(found, scenes, field), _of_samples(config, scenes, field)),
        field=field,
    )


def _of_network(found: TrainedNetwork, scenes: Scenes, field: DataConfig) -> ShownSpectrum:
    predictor, config = found.predictor, found.config
    frames = scenes.frames.to(predictor.device)
    with torch.no_grad():
        seen = predictor.predict(frames).effective.to("cpu")
    estimate = predictor(frames).to("cpu")
    return _shown("network", seen, config, field, {"network": estimate})


def _of_samples(config: RunConfig, scenes: Scenes, field: DataConfig) -> ShownSpectrum:
    """The samples alone, with whom classical methods find: MUSIC on them, and NOMP beside."""
    frames = scenes.frames
    method = config.sampled.method_for(config.physics.symbols)
    samples = sampled_covariance(
        method, frames.y, frames.channel, frames.codes, config.sampled.ridge
    )
    seen = effective(samples, snr_of(scenes), alpha_base=config.covariance.alpha_base)
    found = {name: method_named(name, config)(scenes) for name in ("music", "nomp")}
    return _shown("samples", seen, config, field, found)


def _shown(
    name: str,
    seen: FactoredCovariance,
    config: RunConfig,
    field: DataConfig,
    found: Mapping[str, Estimate],
) -> ShownSpectrum:
    """A covariance over the view; its subspace is made for the first estimate's count."""
    count = max(int(next(iter(found.values())).count[0]), 1)

    def sharpness(steering: Tensor) -> Tensor:
        columns = steering.reshape(-1, steering.shape[-1]).mT
        return seen.music(columns, count)[0].clamp(min=_FLOOR).reciprocal().view(steering.shape[:2])

    return ShownSpectrum(
        name,
        decibels(best_of_planes(config.physics, field, sharpness)),
        decibels(best_of_planes(config.physics, field, power_of(seen))),
        count,
        {who: _positions_of(estimate) for who, estimate in found.items()},
    )


def _positions_of(estimate: Estimate) -> tuple[Position, ...]:
    """Where the sources of the first scene are said to be, in degrees and metres."""
    columns = torch.stack(
        [estimate.phi_rad[0].rad2deg(), estimate.theta_rad[0].rad2deg(), estimate.range_m[0]],
        dim=-1,
    )
    found: list[list[float]] = columns[estimate.present[0]].tolist()
    return tuple((round(phi, 3), round(theta, 3), round(far, 3)) for phi, theta, far in found)
