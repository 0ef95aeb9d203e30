"""Memory, open files, threads and files on disk over time, and whether they grow."""

import os
import statistics
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.soak.processes import Use, use_of, use_of_tree
from tests.soak.stage import Stage

_EVERY_S: Final = 3.0
_LEAST_S: Final = 240.0
"""Lives that are shorter are still warming up."""
GROWTH: Final = {"rss_mb": (1.08, 8.0), "files": (1.0, 4.0), "threads": (1.0, 2.0)}
"""How much the last third of a life may exceed the middle third: a factor, and what is added."""
ON_DISK: Final = {"files_a_run": (1.08, 1.0), "files_beside_runs": (1.0, 10.0)}


@dataclass(frozen=True)
class Trend:
    """Means over the three thirds of a life, and whether the last one is about the middle one."""

    name: str
    what: str
    seconds: float
    thirds: tuple[float, float, float]
    most: float
    """The last third must not exceed it."""

    @property
    def is_flat(self) -> bool:
        """Whether nothing grows; a short life says nothing."""
        return self.seconds < _LEAST_S or self.thirds[2] <= self.most

    def sentence(self) -> str:
        """The thirds, as text."""
        means = ", ".join(f"{each:.1f}" for each in self.thirds)
        return (
            f"{self.name} {self.what} over {self.seconds:.0f} s: {means} (at most {self.most:.1f})"
        )


class Gauges:
    """Samples of the processes of a stage and of its home."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._at = 0.0
        self._lives: dict[tuple[str, int], list[tuple[float, Use]]] = defaultdict(list)
        self._disk: list[tuple[float, Mapping[str, float]]] = []

    def sample(self) -> None:
        """Look, if it is time."""
        now = time.monotonic()
        if now < self._at:
            return
        self._at = now + _EVERY_S
        for program in (self._stage.search, self._stage.spared):
            if program.pid and (use := use_of(program.pid)) is not None:
                self._lives[program.name, program.pid].append((now, use))
        server = self._stage.server
        if server.pid and (use := use_of_tree(server.pid)) is not None:
            self._lives[server.name, server.pid].append((now, use))
        self._disk.append((now, self._files()))

    def trends(self) -> list[Trend]:
        """Of the longest life of each process, and of the home."""
        longest: dict[str, list[tuple[float, Use]]] = {}
        for (name, _), life in self._lives.items():
            if len(life) > len(longest.get(name, [])):
                longest[name] = life
        found = [
            _trend(name, what, [(at, float(getattr(use, what))) for at, use in life], growth)
            for name, life in longest.items()
            for what, growth in GROWTH.items()
            if len(life) >= 6
        ]
        for what, growth in ON_DISK.items():
            found.append(
                _trend("home", what, [(at, each[what]) for at, each in self._disk], growth)
            )
        return found

    def _files(self) -> dict[str, float]:
        mlruns = self._stage.home / "mlruns"
        runs, inside, beside = 0, 0, 0
        for folder, _, files in os.walk(mlruns):
            parts = Path(folder).relative_to(mlruns).parts
            if parts[:1] == ("runs",) and len(parts) > 1:
                inside += len(files)
                runs += len(parts) == 2
            else:
                beside += len(files)
        return {"files_a_run": inside / max(runs, 1), "files_beside_runs": float(beside)}


def _trend(
    name: str, what: str, series: Sequence[tuple[float, float]], growth: tuple[float, float]
) -> Trend:
    begin, end = series[0][0], series[-1][0]
    parts: list[list[float]] = [[], [], []]
    for at, value in series:
        parts[min(int(3.0 * (at - begin) / max(end - begin, 1e-9)), 2)].append(value)
    means = [statistics.fmean(part) if part else 0.0 for part in parts]
    factor, more = growth
    return Trend(name, what, end - begin, (means[0], means[1], means[2]), factor * means[1] + more)
