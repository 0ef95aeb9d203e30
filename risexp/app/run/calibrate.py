"""The temperature of a count, fitted after training for the very weights it will serve."""

from dataclasses import replace
from typing import Final

import torch

from risexp.app.serving.resolve_model import network_of
from risexp.config.run import RunConfig
from risexp.data.frames import Scenes
from risexp.data.scenes import SceneGenerator
from risexp.inference.calibration import Calibration
from risexp.model.observation import Observer
from risexp.training.checkpoint import Checkpoint

_SCENES: Final = 512
"""Scenes answered at once."""


def calibrate(
    checkpoint: Checkpoint, config: RunConfig, device: torch.device
) -> tuple[Checkpoint, Calibration]:
    """Fit the count's temperature on scenes of their own, for these very weights."""
    network = network_of(replace(checkpoint, temperature=None), config, device)
    observe = Observer.of(config)
    scenes = calibration_scenes(config, device, config.validation.calibration_scenes)
    logits = []
    with torch.no_grad():
        for start in range(0, len(scenes), _SCENES):
            seen = observe(scenes[start : start + _SCENES].frames)
            logits.append(network(seen, checkpoint.beta).count_logits)
    found = Calibration.of(network.law, torch.cat(logits), scenes.truth.count)
    return replace(checkpoint, temperature=found.temperature), found


def calibration_scenes(config: RunConfig, device: torch.device, scenes: int) -> Scenes:
    """The first of the scenes that set a temperature: no run trains or is validated on them."""
    return SceneGenerator(config.physics, config.data, device).scenes("calibration", 0, scenes)
