"""What a set of scenes will be, decided before the first of them is drawn."""

import re

import torch

from risexp.config.run import RunConfig
from risexp.data.freezing import planned_bytes, scene_request
from risexp.data.manifest import Request
from risexp.data.streams import Split
from risexp.errors import ConfigInvalid, EnvironmentFailed


def plan_set(config: RunConfig, split: Split, scenes: int, device: str) -> tuple[Request, int]:
    """What will be drawn, and how many bytes it takes.

    Raises:
        ConfigInvalid: There is no such device.
        EnvironmentFailed: This machine does not have it.
    """
    named = re.fullmatch(r"cpu|cuda(?::(\d+))?", device)
    if named is None:
        raise ConfigInvalid(f"--device {device!r} is no device to draw on: try cpu or cuda")
    if device != "cpu" and int(named[1] or 0) >= torch.cuda.device_count():
        raise EnvironmentFailed(f"this machine has no device {device}: use --device cpu")
    request = scene_request(config, split, scenes, device)
    return request, planned_bytes(request)
