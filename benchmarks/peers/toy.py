"""The trial that all searches do: epochs of a fixed time, each with a checkpoint and a report.

It needs the standard library only, since other systems bring their own environment.
"""

import json
import math
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Self

NAME: Final = "storm"
"""Of the study."""
LOW, HIGH = 1e-4, 1e-2
"""Range of the learning rate, the only parameter."""


@dataclass(frozen=True)
class Settings:
    """What every system is asked to do."""

    folder: str
    """Of this run; trace, checkpoints and logs lie in it."""
    url: str
    """Of the database, or a path where a system keeps files."""
    trials: int
    workers: int
    epochs: int
    epoch_s: float

    @classmethod
    def read(cls) -> Self:
        """The settings that the command line holds."""
        return cls(**json.loads(sys.argv[1]))

    def text(self) -> str:
        """The settings for a command line."""
        return json.dumps(asdict(self))

    @property
    def trace(self) -> "Trace":
        """Where every worker notes what it does."""
        return Trace(Path(self.folder) / "trace.jsonl")


@dataclass(frozen=True)
class Line:
    """One note of a worker."""

    at: float
    """Seconds since 1970."""
    pid: int
    trial: str
    """The trial as a user counts it: a retry has the name of what it retries."""
    event: str
    """`begin` of an attempt, `epoch`, `end` of the last epoch, or `crash` of a process."""
    epoch: int


class Trace:
    """Notes of all workers in one file, in the order in which they were written."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, trial: str, event: str, epoch: int, pid: int | None = None) -> None:
        """Append a note; a line is written whole or not at all."""
        line = Line(time.time(), os.getpid() if pid is None else pid, trial, event, epoch)
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, f"{json.dumps(asdict(line))}\n".encode())
        finally:
            os.close(descriptor)

    def lines(self) -> list[Line]:
        """All notes so far."""
        if not self.path.exists():
            return []
        return [Line(**json.loads(line)) for line in self.path.read_text("utf-8").splitlines()]


@dataclass(frozen=True)
class State:
    """A checkpoint."""

    epoch: int = 0
    loss: float = 1.0

    def after(self, rate: float) -> "State":
        """The state one epoch later: a function of this one and the parameter alone."""
        return State(self.epoch + 1, 0.8 * self.loss + 0.2 * math.log10(rate / 1e-3) ** 2)

    def save(self, folder: Path) -> None:
        """Replace the checkpoint of a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        new = folder / f"checkpoint.{os.getpid()}.tmp"
        new.write_text(json.dumps(asdict(self)), "utf-8")
        new.replace(folder / "checkpoint.json")

    @classmethod
    def load(cls, folder: Path) -> "State":
        """The checkpoint of a folder; the state before the first epoch if there is none."""
        path = folder / "checkpoint.json"
        return cls(**json.loads(path.read_text("utf-8"))) if path.exists() else cls()


def train_epoch(settings: Settings, trial: str, state: State, rate: float) -> State:
    """Train one epoch."""
    time.sleep(settings.epoch_s)
    after = state.after(rate)
    settings.trace.write(trial, "epoch", after.epoch)
    return after


def train(
    settings: Settings, trial: str, state: State, rate: float, keep: Callable[[State], object]
) -> float:
    """Train a trial from a state to its end; `keep` saves and reports after every epoch."""
    settings.trace.write(trial, "begin", state.epoch)
    while state.epoch < settings.epochs:
        state = train_epoch(settings, trial, state, rate)
        keep(state)
    settings.trace.write(trial, "end", state.epoch)
    return state.loss
