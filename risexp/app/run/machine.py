"""Device, threads and limits of a run."""

import re
from dataclasses import dataclass

import torch

from risexp.errors import ConfigInvalid, EnvironmentFailed


@dataclass(frozen=True)
class Machine:
    """What a run may use of this machine."""

    device: torch.device
    threads: int
    time_limit_s: float | None = None
    pieces: int = 1
    """Number of parts of each accumulated batch part, if device memory is short."""


def device_named(name: str) -> torch.device:
    """The device of a name; `auto` is a GPU if there is one."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    match = re.fullmatch(r"cpu|cuda(?::(\d+))?", name)
    if match is None:
        raise ConfigInvalid(f"--device {name!r} is no device to compute on: try cpu or cuda")
    if name != "cpu" and int(match[1] or 0) >= torch.cuda.device_count():
        raise EnvironmentFailed(f"this machine has no device {name}: use --device cpu")
    return torch.device(name)
