"""Whole runs of a few seconds: everything that `risexp train` does, in the home at hand."""

from collections.abc import Mapping
from typing import Any

import torch
from rich.console import Console

from risexp.app.run.machine import Machine
from risexp.app.run.train import Finished, train
from risexp.config.layers import load_config

SHORT: Mapping[str, object] = {
    "training.epochs": 2,
    "training.scenes_per_epoch": 16,
    "training.batch": 8,
    "validation.scenes": 16,
    "validation.calibration_scenes": 16,
}


def short_run(changes: Mapping[str, object] | None = None, **limits: Any) -> Finished:  # noqa: ANN401 - of a machine
    """Train the preset `smoke` for two epochs of two batches, with these fields changed."""
    config = load_config(preset="smoke").config.replace({**SHORT, **(changes or {})})
    machine = Machine(torch.device("cpu"), threads=1, **limits)
    return train(config, machine, Console(quiet=True))
