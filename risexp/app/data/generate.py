"""What a set of scenes will be, decided before the first of them is drawn."""

from risexp.app.run.machine import device_named
from risexp.config.run import RunConfig
from risexp.data.freezing import planned_bytes, scene_request
from risexp.data.manifest import Request
from risexp.data.streams import Split


def plan_set(config: RunConfig, split: Split, scenes: int, device: str) -> tuple[Request, int]:
    """What will be drawn, and how many bytes it takes.

    Raises:
        ConfigInvalid: There is no such device.
        EnvironmentFailed: This machine does not have it.
    """
    request = scene_request(config, split, scenes, str(device_named(device)))
    return request, planned_bytes(request)
