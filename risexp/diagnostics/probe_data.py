"""Scenes for probes, and their labels in the form of answers."""

from dataclasses import replace

from torch import Tensor
from torch.nn.functional import one_hot

from risexp.config.measurement import DataConfig, PhysicsConfig
from risexp.config.run import RunConfig
from risexp.covariance.factored import FactoredCovariance
from risexp.data.frames import Frames, Scenes, Truth
from risexp.data.scenes import SceneGenerator, panel_of, source_steering
from risexp.errors import DataInvalid
from risexp.inference.estimate import Estimate
from risexp.physics.signals import received

_STEP_DB = 5.0


def configured_levels(data: DataConfig) -> tuple[float, ...]:
    """SNR levels in steps of 5 dB over the configured range, its lower end first."""
    low, high = data.snr_db
    return tuple(low + _STEP_DB * place for place in range(int((high - low) / _STEP_DB) + 1))


def scenes_at(config: RunConfig, snr_db: float, count: int) -> Scenes:
    """Test scenes of the configured law at one SNR; at every level the same but for noise.

    So scores of one scene at several levels are not independent.
    """
    return drawn(config.replace({"data.snr_db": [snr_db, snr_db]}), count)


def noiseless(config: RunConfig, count: int) -> Scenes:
    """The first test scenes of a configuration without noise."""
    scenes = drawn(config, count)
    frames, truth = scenes.frames, scenes.truth
    field = truth.gains @ source_steering(panel_of(config.physics), truth)
    return Scenes(replace(frames, y=received(frames.channel, frames.codes, field)), truth)


def drawn(config: RunConfig, count: int) -> Scenes:
    """The first test scenes of a configuration."""
    return SceneGenerator(config.physics, config.data).scenes("test", 0, count)


def known_snr_db(frames: Frames) -> Tensor:
    """The SNR that the frames were drawn with, (B,) dB."""
    if frames.snr_db is None:
        raise DataInvalid("these frames carry no snr_db: give those of drawn scenes")
    return frames.snr_db


def label_covariance(physics: PhysicsConfig, truth: Truth) -> FactoredCovariance:
    """A diag(power) A^H of the true sources, at its raw power."""
    steering = source_steering(panel_of(physics), truth)
    return FactoredCovariance.from_sources(steering, truth.powers)


def label_estimate(truth: Truth) -> Estimate:
    """The true counts and positions as an estimate, with certainty."""
    certain = one_hot(truth.count - 1, truth.phi_rad.shape[1]).double()
    return Estimate(truth.count, certain, truth.phi_rad, truth.theta_rad, truth.range_m)
