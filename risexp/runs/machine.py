"""The machine of a run: its versions and device, and how much processor and memory it takes.

Nothing of the process's environment variables is ever read.
"""

import platform
import resource
import sys
from collections.abc import Callable
from importlib.metadata import version
from time import perf_counter
from typing import Any, Final

import torch

from risexp import __version__

PACKAGES: Final = ("torch", "numpy", "safetensors", "pydantic", "mlflow", "optuna")


def environment(device: torch.device, backend: str | None = None) -> dict[str, Any]:
    """Versions, threads, device and backend of the search, as plain values."""
    on_gpu = device.type == "cuda"
    return {
        "risexp": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: version(name) for name in PACKAGES},
        "threads": torch.get_num_threads(),
        "backend": backend,
        "device": str(device),
        "device_name": torch.cuda.get_device_name(device) if on_gpu else platform.machine(),
        "cuda": torch.version.cuda,
        "deterministic": torch.are_deterministic_algorithms_enabled(),
    }


class Usage:
    """Processor and memory of this process, measured between two calls."""

    def __init__(self, clock: Callable[[], float] = perf_counter) -> None:
        self._clock = clock
        self._at, self._cpu_s = clock(), _cpu_s()

    def __call__(self) -> dict[str, float]:
        """Mean number of busy cores since the last call, and the largest memory so far in MB."""
        now, cpu_s = self._clock(), _cpu_s()
        cores = (cpu_s - self._cpu_s) / max(now - self._at, 1e-9)
        self._at, self._cpu_s = now, cpu_s
        # ru_maxrss counts bytes on macOS, kibibytes everywhere else.
        unit = 1.0 if sys.platform == "darwin" else 1024.0
        memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
        return {"cpu": cores, "memory_mb": memory_mb}


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
