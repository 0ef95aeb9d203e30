"""Scenes of the small panel and their plain twins, for the tests of the references."""

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
from risexp.physics.steering import steering_vector
from tests.support.localisation import plain_operator, points_of

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
    """Responses of a scene's true sources, one (S, K) matrix a look, by the whole operator."""
    count, physics = int(scenes.truth.count[scene]), config.physics
    u, v, rho = points_of(scenes.truth)[scene, :count].cpu().unbind(-1)
    waves = steering_vector(panel_of(physics), u, v, rho).mT
    looks = plain_operator(scenes.frames)[scene].cpu() @ waves
    if physics.symbols == "frame":
        return [looks]
    return list(looks.view(physics.snapshots, physics.antennas, count))


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
    for row in (moved.truth.phi_rad, moved.truth.theta_rad, moved.truth.range_m):
        row[:, 1] = row[:, 0]
    return moved
