"""Degenerate batches, on which formulas could divide by zero."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

import torch
from torch import Tensor

from risexp.config.run import RunConfig
from risexp.data.frames import Scenes, Truth
from risexp.data.scenes import SceneGenerator, panel_of, source_steering
from risexp.diagnostics.probe_data import known_snr_db
from risexp.physics.signals import received

_HUGE: Final = 1e9
"""Factor on amplitudes: 180 dB."""

Change = Callable[[RunConfig, Scenes], Scenes]


def degenerate_batches(config: RunConfig, scenes: int) -> dict[str, Scenes]:
    """Training scenes as drawn (`ordinary`), and made degenerate in one way each."""
    drawn = SceneGenerator(config.physics, config.data).scenes("train", 0, scenes)
    return {name: change(config, drawn) for name, change in CHANGES.items()}


def _zero_frame(_config: RunConfig, scenes: Scenes) -> Scenes:
    frames = scenes.frames
    return Scenes(replace(frames, y=torch.zeros_like(frames.y)), scenes.truth)


def _coincident(config: RunConfig, scenes: Scenes) -> Scenes:
    """All sources of a scene at the position of its first."""
    truth = scenes.truth
    return receive(config, scenes, replace(truth, **_at_first(truth, truth.present)))


def _one_repeated(config: RunConfig, scenes: Scenes) -> Scenes:
    """The largest count of sources, all of them equal."""
    truth = scenes.truth
    everywhere = torch.ones_like(truth.present)
    full = replace(truth, count=torch.full_like(truth.count, truth.present.shape[1]))
    return receive(
        config, scenes, replace(_equal(full, everywhere), **_at_first(truth, everywhere))
    )


def _rank_one(config: RunConfig, scenes: Scenes) -> Scenes:
    """A channel that passes a single combination of the elements."""
    channel = scenes.frames.channel
    poor = (channel[:, :, :1] @ channel[:, :1, :]) / channel[:, :1, :1]
    return receive(config, Scenes(replace(scenes.frames, channel=poor), scenes.truth), scenes.truth)


def _silent_channel(_config: RunConfig, scenes: Scenes) -> Scenes:
    frames = scenes.frames
    silent = replace(frames, channel=torch.zeros_like(frames.channel), y=torch.zeros_like(frames.y))
    return Scenes(silent, scenes.truth)


CHANGES: Final[Mapping[str, Change]] = {
    "ordinary": lambda _config, scenes: scenes,
    "zero frame": _zero_frame,
    "coincident": _coincident,
    "equal powers": lambda config, scenes: receive(
        config, scenes, _equal(scenes.truth, scenes.truth.present)
    ),
    "one repeated": _one_repeated,
    "huge": lambda _config, scenes: _louder(scenes, _HUGE),
    "tiny": lambda _config, scenes: _louder(scenes, 1.0 / _HUGE),
    "no noise": lambda config, scenes: _at_snr(config, scenes, 100.0),
    "all noise": lambda config, scenes: _at_snr(config, scenes, -100.0),
    "rank-one channel": _rank_one,
    "silent channel": _silent_channel,
}


def receive(config: RunConfig, scenes: Scenes, truth: Truth) -> Scenes:
    """The scenes as received under another truth, with noise at their own SNR."""
    frames = scenes.frames
    field = truth.gains @ source_steering(panel_of(config.physics), truth)
    clean = received(frames.channel, frames.codes, field)
    power = clean.abs().square().mean((-2, -1)) * torch.pow(10.0, -known_snr_db(frames) / 10.0)
    generator = torch.Generator().manual_seed(config.data.seed)
    noise = torch.randn(clean.shape, dtype=clean.dtype, generator=generator)
    y = clean + power.sqrt()[:, None, None] * noise
    return Scenes(replace(frames, y=y), replace(truth, noise_power=power))


def _at_first(truth: Truth, where: Tensor) -> dict[str, Tensor]:
    """Positions of the first source of each scene, for all sources in `where`."""
    positions = {name: getattr(truth, name) for name in ("phi_rad", "theta_rad", "range_m")}
    return {
        name: torch.where(where, values[:, :1], torch.nan).to(values)
        for name, values in positions.items()
    }


def _equal(truth: Truth, present: Tensor) -> Truth:
    return replace(
        truth,
        amplitude=present.to(truth.amplitude),
        symbols=torch.ones_like(truth.symbols) * present.unsqueeze(-2),
    )


def _louder(scenes: Scenes, factor: float) -> Scenes:
    frames, truth = scenes.frames, scenes.truth
    amplitude, noise = truth.amplitude * factor, truth.noise_power * factor**2
    return Scenes(
        replace(frames, y=frames.y * factor),
        replace(truth, amplitude=amplitude, noise_power=noise),
    )


def _at_snr(config: RunConfig, scenes: Scenes, snr_db: float) -> Scenes:
    level = torch.full_like(known_snr_db(scenes.frames), snr_db)
    return receive(config, Scenes(replace(scenes.frames, snr_db=level), scenes.truth), scenes.truth)
