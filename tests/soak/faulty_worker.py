"""A worker in which a test plants faults: `python -m tests.soak.faulty_worker FOLDER worker ...`.

A file in the folder that is named for a fault is taken by the worker, which then has that fault
once: `oom` (the device's memory is short), `nan` (a loss that is no number), `clock` (its clock
jumps by hours). The file's new name says that the fault has happened.
"""

import sys
import time
from dataclasses import replace
from pathlib import Path
from random import Random

import torch
from torch.nn import Module

from risexp.cli.main import main
from risexp.data.frames import Scenes
from risexp.loss.weighting import Loss
from risexp.training.objective import Objective
from risexp.training.plan import Plan


class Faults:
    """The faults of a folder, each taken once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._dice = Random(folder.name)  # noqa: S311 - not for secrets
        self._skew_s = 0.0

    def take(self, name: str) -> bool:
        """Whether the fault is there, which is over now."""
        try:
            (self._folder / name).rename(self._folder / f"{name}.{time.monotonic_ns()}.done")
        except FileNotFoundError:
            return False
        return True

    def plant(self) -> None:
        """Make this process have the faults."""
        compute, clock, clock_ns = Objective.__call__, time.time, time.time_ns

        def faulty(objective: Objective, network: Module, scenes: Scenes, plan: Plan) -> Loss:
            if self.take("clock"):
                self._skew_s += self._dice.choice((-28.0, -1.0, 1.0, 28.0)) * 3600.0
            if self.take("oom"):
                raise torch.OutOfMemoryError("CUDA out of memory (planted)")
            loss = compute(objective, network, scenes, plan)
            return replace(loss, total=loss.total * torch.nan) if self.take("nan") else loss

        Objective.__call__ = faulty  # type: ignore[assignment, method-assign]
        time.time = lambda: clock() + self._skew_s
        time.time_ns = lambda: clock_ns() + int(self._skew_s * 1e9)


if __name__ == "__main__":
    Faults(Path(sys.argv.pop(1))).plant()
    main()
