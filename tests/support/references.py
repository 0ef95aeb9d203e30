"""Scenes of the small panel and their plain twins, for the tests of the references."""

import math
from functools import cache

import torch
from torch import Tensor

from risexp.config.layers import load_config
from risexp.config.run import RunConfig
from risexp.data.frames import Scenes
from risexp.data.scenes import panel_of
from risexp.evaluation.candidates import candidates, measured, responses
from risexp.evaluation.references import References, references
from risexp.physics.signals import Symbols

LAWS: tuple[Symbols, ...] = ("frame", "snapshot")


@cache
def smoke(symbols: Symbols = "frame", *overrides: str) -> RunConfig:
    """The small panel under a law of the symbols."""
    return load_config(preset="smoke", overrides=(f"physics.symbols={symbols}", *overrides)).config


def at_snr(symbols: Symbols, snr_db: float, *overrides: str) -> RunConfig:
    return smoke(symbols, f"data.snr_db=[{snr_db},{snr_db}]", *overrides)


def refer(config: RunConfig, scenes: Scenes, draws: int = 300) -> References:
    return references(config.physics, config.data, scenes, draws)


def looked_at(config: RunConfig, scenes: Scenes) -> tuple[Tensor, Tensor]:
    """Responses of the candidates and the measurements, as the references see them."""
    symbols, frames = config.physics.symbols, scenes.frames
    where = candidates(config.data, scenes.truth)
    response = responses(symbols, panel_of(config.physics), frames, where)
    return response, measured(symbols, frames)


def plain_looks(config: RunConfig, scenes: Scenes, scene: int) -> list[Tensor]:
    """Responses of a scene's true sources, one (S, K) matrix a look, by plain geometry."""
    truth = scenes.truth
    columns = [
        _echo(config, scenes, scene, [float(row[scene, k]) for row in _positions(scenes)])
        for k in range(int(truth.count[scene]))
    ]
    looks = torch.stack(columns, dim=-1)
    return [looks.flatten(0, 1)] if config.physics.symbols == "frame" else list(looks)


def plain_gains(scenes: Scenes, scene: int) -> list[Tensor]:
    """Amplitude times symbol of a scene's true sources, one (K,) vector a look."""
    truth = scenes.truth
    count = int(truth.count[scene])
    sent = truth.amplitude[scene] * truth.symbols[scene]
    return list(sent[:, :count].to("cpu", torch.complex128))


def coincident(scenes: Scenes) -> Scenes:
    """The scenes of two sources or more, the second of them moved onto the first."""
    several = (scenes.truth.count >= 2).nonzero().flatten().tolist()
    moved = Scenes.join([scenes[scene : scene + 1] for scene in several])
    for row in _positions(moved):
        row[:, 1] = row[:, 0]
    return moved


def _positions(scenes: Scenes) -> tuple[Tensor, Tensor, Tensor]:
    return scenes.truth.phi_rad, scenes.truth.theta_rad, scenes.truth.range_m


def _echo(config: RunConfig, scenes: Scenes, scene: int, position: list[float]) -> Tensor:
    """H diag(c_l) a of a spherical wave in every snapshot, (L, M)."""
    phi, theta, range_m = position
    panel = panel_of(config.physics)
    h_m, v_m = panel.positions()
    at = (
        range_m * math.sin(phi) * math.cos(theta),
        range_m * math.sin(theta),
        range_m * math.cos(phi) * math.cos(theta),
    )
    distance = ((h_m - at[0]) ** 2 + (v_m - at[1]) ** 2 + at[2] ** 2).sqrt()
    phase = -panel.wavenumber * (distance - range_m)
    wave = torch.complex(phase.cos(), phase.sin()) / math.sqrt(panel.elements)
    channel = scenes.frames.channel[scene].to("cpu", torch.complex128)
    codes = scenes.frames.codes.to("cpu", torch.complex128)
    return torch.stack([channel @ torch.diag(code) @ wave for code in codes])
