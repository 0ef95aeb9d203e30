"""The scenes that probes look at: one law at several noise levels, or without noise."""

from dataclasses import replace

from torch import Tensor

from risexp.config.run import RunConfig
from risexp.config.sections import DataConfig
from risexp.data.frames import Frames, Scenes
from risexp.data.scenes import SceneGenerator, panel_of, source_steering
from risexp.errors import DataInvalid
from risexp.physics.signals import received


def configured_levels(data: DataConfig, step_db: float = 5.0) -> tuple[float, ...]:
    """Levels a step apart over the configured range of the SNR, its lower end first."""
    low, high = data.snr_db
    return tuple(low + step_db * place for place in range(int((high - low) / step_db) + 1))


def scenes_at(config: RunConfig, snr_db: float, count: int) -> Scenes:
    """Test scenes of the configured law at one SNR: the same scenes at every level but for noise.

    So scores of one scene at several levels are not independent of each other.
    """
    return drawn(config.replace({"data.snr_db": [snr_db, snr_db]}), count)


def noiseless(config: RunConfig, count: int) -> Scenes:
    """The same test scenes as if nothing but the sources were heard."""
    scenes = drawn(config, count)
    frames, truth = scenes.frames, scenes.truth
    field = truth.gains @ source_steering(panel_of(config.physics), truth)
    return Scenes(replace(frames, y=received(frames.channel, frames.codes, field)), truth)


def drawn(config: RunConfig, count: int) -> Scenes:
    """The first test scenes of a configuration."""
    return SceneGenerator(config.physics, config.data).scenes("test", 0, count)


def known_snr_db(frames: Frames) -> Tensor:
    """The SNR the frames were drawn with, (B,) dB.

    Raises:
        DataInvalid: They do not say.
    """
    if frames.snr_db is None:
        raise DataInvalid("these frames carry no snr_db: give those of drawn scenes")
    return frames.snr_db
