"""Disturbed scenes of the smallest panel: their clean measurements, and their noise."""

from torch import Tensor

from risexp.data.frames import Scenes
from risexp.data.scenes import panel_of, source_steering
from risexp.physics.signals import received
from tests.support.scenes import SMALL

PANEL = panel_of(SMALL)
MANY = 200


def clean(scenes: Scenes) -> Tensor:
    """The measurements without noise."""
    field = scenes.truth.gains @ source_steering(PANEL, scenes.truth)
    return received(scenes.frames.channel, scenes.frames.codes, field)


def noise(scenes: Scenes) -> Tensor:
    """The noise of the measurements."""
    return scenes.frames.y - clean(scenes)
