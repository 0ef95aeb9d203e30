"""Panels, scenes and covariances as the tests need them: small, seeded, on any device."""

from collections.abc import Callable
from functools import cache

import torch
from hypothesis import HealthCheck, settings
from torch import Tensor

from risexp.config.layers import load_config
from risexp.config.measurement import DataConfig, PhysicsConfig
from risexp.covariance.effective import effective
from risexp.covariance.factored import FactoredCovariance
from risexp.covariance.sampled import Method, sampled_covariance
from risexp.data.frames import Scenes
from risexp.data.scenes import SceneGenerator, panel_of, source_steering
from risexp.physics.geometry import Panel, Wavefront
from risexp.physics.signals import received

DEFAULT_PHYSICS = PhysicsConfig()
DEFAULT_DATA = DataConfig()
MANY = 4096
SMALL = load_config(preset="smoke").config.physics
"""A 6 x 6 panel: where statistics do not matter, its scenes are quick."""

any_device = settings(
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
"""For hypothesis tests that take `device`, which is the same for every example."""


def panel(wavefront: Wavefront = "spherical", elements_h: int = 12, elements_v: int = 12) -> Panel:
    """A panel of half a wavelength's spacing at 1 GHz; the default one by default."""
    return Panel(elements_h, elements_v, spacing_m=0.15, wavelength_m=0.3, wavefront=wavefront)


def gaussian(*shape: int, seed: int = 0) -> Tensor:
    """CN(0, 1) draws, complex128."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, dtype=torch.complex128, generator=generator)


def uniform(low: float, high: float, *shape: int, seed: int = 0) -> Tensor:
    """U(low, high) draws, float64."""
    generator = torch.Generator().manual_seed(seed)
    return low + (high - low) * torch.rand(shape, dtype=torch.float64, generator=generator)


def field_of_view(count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Directions of the default law, (count,) azimuth and elevation in rad, float64."""
    phi_rad = uniform(-60.0, 60.0, count, seed=seed).deg2rad()
    return phi_rad, uniform(-30.0, 30.0, count, seed=seed + 1).deg2rad()


@cache
def drawn(device: torch.device, *overrides: str, count: int = MANY) -> Scenes:
    """Scenes of the default configuration with some fields changed, drawn once."""
    config = load_config(overrides=overrides).config
    return SceneGenerator(config.physics, config.data, device).scenes("test", 0, count)


def tiny_scenes(
    count: int = 8,
    *,
    physics: PhysicsConfig = DEFAULT_PHYSICS,
    data: DataConfig = DEFAULT_DATA,
    device: torch.device | str = "cpu",
) -> Scenes:
    """A few scenes of a configuration, the default one by default."""
    return SceneGenerator(physics, data).scenes("test", 0, count).to(device)


def label_covariance(
    scenes: Scenes, physics: PhysicsConfig = DEFAULT_PHYSICS
) -> FactoredCovariance:
    """What is true of the scenes, at its raw power."""
    steering = source_steering(panel_of(physics), scenes.truth)
    return FactoredCovariance.from_sources(steering, scenes.truth.powers)


def physical_covariance(
    scenes: Scenes,
    physics: PhysicsConfig = DEFAULT_PHYSICS,
    *,
    method: Method = "joint",
    beta: float = 0.3,
) -> FactoredCovariance:
    """The effective covariance of a perfect prediction blended with what was measured."""
    frames = scenes.frames
    sampled = sampled_covariance(method, frames.y, frames.channel, frames.codes, ridge=1e-3)
    snr_db = frames.snr_db
    assert snr_db is not None
    return effective(label_covariance(scenes, physics), snr_db, sampled, beta)


def noiseless_sources(
    physics: PhysicsConfig, count: int, device: torch.device | str = "cpu"
) -> tuple[Scenes, Tensor]:
    """Scenes of one source, and the field x (B, N) on the panel whose clean echo y now is."""
    scenes = tiny_scenes(count, physics=physics, data=DataConfig(sources_max=1), device=device)
    field = source_steering(panel_of(physics), scenes.truth)[:, 0]
    clean = received(scenes.frames.channel, scenes.frames.codes, field.unsqueeze(-2))
    scenes.frames.y.copy_(clean)
    return scenes, field


def matrix(covariance: FactoredCovariance) -> Tensor:
    """F F^H + d I in double precision, (B, N, N)."""
    factor, diagonal = covariance.factor.to(torch.complex128), covariance.diagonal.double()
    eye = torch.eye(covariance.elements, dtype=torch.float64, device=factor.device)
    return factor @ factor.mH + diagonal[:, None, None] * eye


def worst(expected: Tensor, actual: Tensor) -> float:
    """Largest deviation relative to the largest expected value."""
    assert expected.shape == actual.shape
    scale = expected.abs().max().clamp(min=torch.finfo(torch.float64).tiny)
    return float((expected - actual).abs().max() / scale)


def slope(function: Callable[[float], Tensor], step: float = 1e-4) -> Tensor:
    """Derivative at zero by central differences of fourth order."""
    near, far = (function(k * step) - function(-k * step) for k in (1, 2))
    return (8 * near - far) / (12 * step)
