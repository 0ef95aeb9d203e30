"""What this process takes of its machine."""

import resource
import sys
from collections.abc import Callable
from time import perf_counter


class Usage:
    """Reads processor and memory, each time since the last."""

    def __init__(self, clock: Callable[[], float] = perf_counter) -> None:
        self._clock = clock
        self._at, self._cpu_s = clock(), _cpu_s()

    def __call__(self) -> dict[str, float]:
        """Cores in use on average, and the largest memory so far in MB."""
        now, cpu_s = self._clock(), _cpu_s()
        cores = (cpu_s - self._cpu_s) / max(now - self._at, 1e-9)
        self._at, self._cpu_s = now, cpu_s
        return {"cpu": cores, "memory_mb": _memory_mb()}


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _memory_mb() -> float:
    """Bytes on macOS, kibibytes everywhere else."""
    unit = 1.0 if sys.platform == "darwin" else 1024.0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
