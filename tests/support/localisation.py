"""Scenes for localisers, their plain twins in double precision, and how far an answer is off."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache
from typing import get_args

import torch
from torch import Tensor

from risexp.app.benchmark.methods import method_named
from risexp.config.layers import load_config
from risexp.config.run import RunConfig
from risexp.covariance.effective import effective
from risexp.covariance.factored import FactoredCovariance
from risexp.data.frames import Frames, Scenes, Truth
from risexp.data.scenes import SceneGenerator, panel_of, source_steering
from risexp.estimation.grid import search_grid
from risexp.estimation.receiver_model import ReceiverModel
from risexp.evaluation.scene_scores import score_scenes
from risexp.inference.estimate import Estimate
from risexp.inference.spectral import Spectral, Spectrum
from risexp.physics.geometry import Wavefront, direction_cosines
from risexp.physics.signals import received, stacked_operator
from risexp.physics.steering import steering_vector
from tests.support.scenes import gaussian, label_covariance, uniform

Localiser = Callable[[Scenes], Estimate]

WAVEFRONTS: tuple[Wavefront, ...] = get_args(Wavefront)
NOISELESS_DB = 90.0
NOISELESS = f"data.snr_db=[{NOISELESS_DB},{NOISELESS_DB}]"
SEPARATED = ("physics.power=equal", "data.separation_deg=20")
"""Five sources that nothing but a fault keeps from being found."""


@cache
def config_of(*overrides: str, preset: str | None = None) -> RunConfig:
    return load_config(preset=preset, overrides=overrides).config


@cache
def scenes_of(config: RunConfig, count: int, device: torch.device | str = "cpu") -> Scenes:
    """The first scenes of a configuration, drawn once; not to be written to."""
    return SceneGenerator(config.physics, config.data).scenes("test", 0, count).to(device)


def at_snr(snr_db: float) -> str:
    return f"data.snr_db=[{snr_db},{snr_db}]"


def picked(scenes: Scenes, places: Iterable[int]) -> Scenes:
    """The scenes at these places, in this order."""
    return Scenes.join([scenes[place : place + 1] for place in places])


def holding(scenes: Scenes, count: int) -> Scenes:
    """Only the scenes of so many sources."""
    return picked(scenes, (scenes.truth.count == count).nonzero().flatten().tolist())


def forged(scenes: Scenes, count: int) -> Scenes:
    """The frames of these scenes under a truth in which nothing is true."""
    truth = scenes.truth
    wrong = Truth(
        count=torch.full_like(truth.count, count),
        phi_rad=torch.full_like(truth.phi_rad, 0.123),
        theta_rad=torch.full_like(truth.theta_rad, -0.321),
        range_m=torch.full_like(truth.range_m, 7.7),
        symbols=torch.ones_like(truth.symbols),
        amplitude=torch.full_like(truth.amplitude, 3.0),
        noise_power=torch.full_like(truth.noise_power, 9.0),
    )
    return Scenes(scenes.frames, wrong)


def identical(one: Estimate, two: Estimate) -> bool:
    """Whether two answers are equal bit for bit."""
    return all(
        torch.equal(mine.nan_to_num(-7.0), theirs.nan_to_num(-7.0))
        for mine, theirs in zip(vars(one).values(), vars(two).values(), strict=True)
    )


def with_frames(scenes: Scenes, **changes: Tensor | None) -> Scenes:
    return Scenes(Frames(**{**dict(scenes.frames.items()), **changes}), scenes.truth)


def points_of(truth: Truth) -> Tensor:
    """The true (u, v, rho), (B, K, 3) float64; NaN for absent sources."""
    u, v = direction_cosines(truth.phi_rad, truth.theta_rad)
    return torch.stack([u, v, truth.range_m.reciprocal()], dim=-1)


def echoes(config: RunConfig, truth: Truth, snr_db: float = NOISELESS_DB) -> Scenes:
    """What is heard of sources at these positions, all of modulus 1, each of a random phase."""
    device = truth.count.device
    drawn = scenes_of(config, len(truth), device)
    rows = 1 if config.physics.symbols == "frame" else config.physics.snapshots
    shape = (len(truth), rows, truth.phi_rad.shape[1])
    symbols = gaussian(*shape, seed=5).sgn().to(device, torch.complex64)
    symbols = symbols * truth.present.unsqueeze(-2)
    field = symbols @ source_steering(panel_of(config.physics), truth)
    clean = received(drawn.frames.channel, drawn.frames.codes, field)
    power = clean.abs().square().mean((-2, -1)) * 10.0 ** (-snr_db / 10.0)
    noise = gaussian(*clean.shape, seed=6).to(clean) * power.sqrt()[:, None, None]
    frames = replace(
        drawn.frames, y=clean + noise, snr_db=torch.full_like(power, snr_db, dtype=torch.float32)
    )
    amplitude = truth.present.float()
    sent = replace(truth, symbols=symbols, amplitude=amplitude, noise_power=power)
    return Scenes(frames, sent)


def label(config: RunConfig, scenes: Scenes) -> FactoredCovariance:
    """The effective covariance of the true sources."""
    snr_db = scenes.frames.snr_db
    assert snr_db is not None
    return effective(label_covariance(scenes, config.physics), snr_db)


def on_label(config: RunConfig, spectrum: Spectrum) -> Localiser:
    """A spectrum of the label covariance, told the count."""
    spectral = Spectral(ReceiverModel.of(config), spectrum)
    return lambda scenes: spectral.locate(label(config, scenes), scenes.truth.count)


def localiser(name: str, config: RunConfig) -> Localiser:
    """A row of the tables, or a spectrum of the label covariance."""
    match name:
        case "music on label":
            return on_label(config, "music")
        case "mvdr on label":
            return on_label(config, "mvdr")
        case _:
            return method_named(name, config)


def off_grid(config: RunConfig, truth: Truth) -> float:
    """Least distance of a true source from a grid point, in steps along its longest axis."""
    receiver = ReceiverModel.of(config)
    grid = search_grid(receiver.panel, receiver.view, truth.count.device)
    points = points_of(truth)[truth.present]
    gaps = (points.unsqueeze(1) - grid.candidates.double()).abs() / grid.steps.double()
    return float(gaps.amax(-1).min())


def found_exactly(found: Estimate, truth: Truth) -> Tensor:
    """Which scenes are counted right and located within 1e-3 deg and, up to 5 m, 1 cm; (B,)."""
    matching = score_scenes(found, truth).matching
    off = matching.errors.abs()
    missed = (off[..., :2] >= 1e-3).any(-1) | ((off[..., 2] >= 0.01) & (truth.range_m <= 5.0))
    return (matching.estimated_count == matching.true_count) & ~missed.any(-1)


def missed_scenes(found: Estimate, truth: Truth) -> list[int]:
    """The places of scenes that were not."""
    return (~found_exactly(found, truth)).nonzero().flatten().tolist()


def apart(one: Estimate, two: Estimate) -> tuple[float, float]:
    """Largest difference of two answers of the same counts, in deg and m, source by source."""
    assert one.count.tolist() == two.count.tolist()
    kept = one.present
    angle = [
        (mine - theirs).abs()[kept].rad2deg()
        for mine, theirs in ((one.phi_rad, two.phi_rad), (one.theta_rad, two.theta_rad))
    ]
    distance = (one.range_m - two.range_m).abs()[kept]
    return float(torch.cat(angle).max()), float(distance.max())


def share_apart(one: Estimate, two: Estimate, degrees: float, metres: float) -> float:
    """Share of scenes, counted alike, of which some source is answered further apart."""
    assert one.count.tolist() == two.count.tolist()
    angle = torch.stack([one.phi_rad - two.phi_rad, one.theta_rad - two.theta_rad]).abs().rad2deg()
    distance = (one.range_m - two.range_m).abs()
    far = (angle > degrees).any(0) | (distance > metres)
    return float((far & one.present).any(-1).double().mean())


def sound(found: Estimate) -> bool:
    """Whether every source that is counted has a place, and the probabilities are some."""
    slots = found.phi_rad.shape[1]
    numbers = torch.stack([found.phi_rad, found.theta_rad, found.range_m])
    total = found.count_probabilities.sum(-1)
    return bool(
        numbers[:, found.present].isfinite().all()
        and numbers[:, ~found.present].isnan().all()
        and (found.count <= slots).all()
        and ((total - 1.0).abs() < 1e-6).all()
        and (found.count_probabilities >= 0.0).all()
    )


def plain_operator(frames: Frames) -> Tensor:
    """G in double precision, (B, L M, N)."""
    channel, codes = (x.to(torch.complex128) for x in (frames.channel, frames.codes))
    return stacked_operator(channel, codes)


def plain_measured(frames: Frames) -> Tensor:
    """y as one vector in double precision, (B, L M)."""
    return frames.y.to(torch.complex128).flatten(1)


def plain_misfit(config: RunConfig, frames: Frames, points: Tensor) -> Tensor:
    """|y - G A s|^2 at the best gains of sources at points (B, k, 3), by least squares, (B,)."""
    columns = steering_vector(panel_of(config.physics), *points.double().unbind(-1))
    response = plain_operator(frames) @ columns.mT
    y = plain_measured(frames).unsqueeze(-1)
    gains = torch.linalg.lstsq(response, y).solution
    left: Tensor = y - response @ gains
    return left.abs().square().sum((-2, -1))


def isometric(scenes: Scenes, seed: int = 0) -> Scenes:
    """The scenes heard through a channel that keeps every length, without a word of noise."""
    frames = scenes.frames
    drawn = gaussian(*frames.channel.shape, seed=seed).to(frames.y.device)
    channel = torch.linalg.qr(drawn).Q.to(torch.complex64)
    return with_frames(scenes, channel=channel)


def anywhere(config: RunConfig, count: int, seed: int = 0) -> Tensor:
    """Points (count, 3) float64 drawn as the configuration draws its sources."""
    data = config.data
    rows = [
        uniform(*span, count, seed=3 * seed + axis)
        for axis, span in enumerate((data.phi_deg, data.theta_deg, data.range_m))
    ]
    u, v = direction_cosines(rows[0].deg2rad(), rows[1].deg2rad())
    return torch.stack([u, v, rows[2].reciprocal()], dim=-1)
