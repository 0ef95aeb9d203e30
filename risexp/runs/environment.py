"""What a run was computed with; nothing of the process's own environment is ever read."""

import platform
from importlib.metadata import version
from typing import Any, Final

import torch

from risexp import __version__

PACKAGES: Final = ("torch", "numpy", "safetensors", "pydantic", "mlflow", "optuna")


def environment(device: torch.device) -> dict[str, Any]:
    """Versions, threads and device, as plain values."""
    on_gpu = device.type == "cuda"
    return {
        "risexp": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: version(name) for name in PACKAGES},
        "threads": torch.get_num_threads(),
        "device": str(device),
        "device_name": torch.cuda.get_device_name(device) if on_gpu else platform.machine(),
        "cuda": torch.version.cuda,
        "deterministic": torch.are_deterministic_algorithms_enabled(),
    }
