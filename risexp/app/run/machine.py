"""Device, threads and limits of a run."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from risexp.config.run import RunConfig
from risexp.errors import ConfigInvalid, EnvironmentFailed
from risexp.estimation.backend import Backend, backend_of


@dataclass(frozen=True)
class Machine:
    """What a run may use of this machine."""

    device: torch.device
    threads: int
    time_limit_s: float | None = None
    pieces: int = 1
    """Number of parts of each accumulated batch part, if device memory is short."""
    backend: Backend | None = None
    """What searches on a CPU; None leaves it to the configuration."""

    def settle(self, config: RunConfig) -> RunConfig:
        """A configuration with the backend that this machine uses."""
        if self.backend is None:
            return config
        return config.replace({"localisation.backend": self.backend})


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


def recorded_machine(environment: Mapping[str, Any], machine: Machine) -> Machine:
    """The device, threads and backend that a run began with; torch, if it began before others."""
    return replace(
        machine,
        device=device_named(str(environment["device"])),
        threads=int(environment["threads"]),
        backend=backend_of(environment.get("backend", "torch")),
    )
