"""Kills busy workers of any search on a fixed schedule, and measures by the workers' notes."""

import os
import random
import signal
import statistics
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from peers.toy import Line, Settings

MOST_KILLS: Final = 2
"""Of one trial: risexp gives a trial up whose workers died three times, by design."""
START_S: Final = 90.0
"""For a system to begin its first trial; no time is counted before that."""
MARK: Final = "STORM_FOLDER"
"""Environment variable of every process of a search."""
_LOOK_S: Final = 0.05


@dataclass(frozen=True)
class Schedule:
    """When what is killed, the same for every system."""

    every_s: float
    """Between two kills, from the first epoch on."""
    most: int
    """Kills after which a search is left in peace."""
    seed: int
    limit_s: float
    """For a search, from its first epoch on."""
    halfway: Callable[[], object] | None = None
    """What else happens once, after `halfway_kills`, e.g. a restart of the database."""
    driver: bool = False
    """Whether the driver is killed instead at that time, and continued by hand."""
    halfway_kills: int = 5
    alone_s: float = 10.0
    """How long a search without its driver is left alone."""


@dataclass(frozen=True)
class Command:
    """How a system is started, and continued after its driver was killed."""

    start: Sequence[str]
    again: Sequence[str]
    environment: Mapping[str, str]


@dataclass
class Fire:
    """One search under fire."""

    settings: Settings
    command: Command
    schedule: Schedule
    kills: list[tuple[float, str]] = field(default_factory=list)
    """When, and which trial's worker."""
    killed: set[int] = field(default_factory=set)
    restarted_at: float | None = None
    """When the driver was started again by hand."""
    driver_died_at: float | None = None
    timed_out: bool = False

    def run(self) -> None:
        """Search until the command ends, or the limit is over."""
        dice = random.Random(self.schedule.seed)  # noqa: S311 - not for secrets
        with (Path(self.settings.folder) / "log").open("ab") as log:
            process = self._start(self.command.start, log)
            began = self._first_epoch(process)
            next_at, halfway = began + self.schedule.every_s, False
            while process.poll() is None:
                if time.time() > began + self.schedule.limit_s:
                    self.timed_out = True
                    break
                time.sleep(_LOOK_S)
                if time.time() < next_at or len(self.kills) >= self.schedule.most:
                    continue
                next_at += self.schedule.every_s
                if len(self.kills) >= self.schedule.halfway_kills and not halfway:
                    halfway = True
                    process = self._disturb(process, log)
                    next_at = time.time() + self.schedule.every_s
                    continue
                self._kill_one(dice)
            self._end(process)

    def _start(self, command: Sequence[str], log: IO[bytes]) -> "subprocess.Popen[bytes]":
        mark = {MARK: self.settings.folder}
        environment = {**os.environ, **self.command.environment, **mark}
        return subprocess.Popen(  # noqa: S603 - our own command
            command, env=environment, stdout=log, stderr=log, start_new_session=True
        )

    def _first_epoch(self, process: "subprocess.Popen[bytes]") -> float:
        end = time.time() + START_S
        while not (lines := self.settings.trace.lines()):
            if process.poll() is not None or time.time() > end:
                self._end(process)
                raise SystemExit(f"nothing began: see {self.settings.folder}/log")
            time.sleep(_LOOK_S)
        return lines[0].at

    def _kill_one(self, dice: random.Random) -> None:
        """Kill a worker that is amid a trial, if there is one."""
        often = Counter(trial for _, trial in self.kills)
        last = {line.pid: line for line in self.settings.trace.lines() if line.event != "crash"}
        busy = [
            line
            for pid, line in sorted(last.items())
            if line.event in {"begin", "epoch"}
            and pid not in self.killed
            and often[line.trial] < MOST_KILLS
            and Path(f"/proc/{pid}").exists()
        ]
        if not busy:
            return
        victim = dice.choice(busy)
        at = time.time()
        try:
            os.kill(victim.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self.killed.add(victim.pid)
        self.kills.append((at, victim.trial))

    def _disturb(
        self, process: "subprocess.Popen[bytes]", log: IO[bytes]
    ) -> "subprocess.Popen[bytes]":
        if self.schedule.halfway is not None:
            self.schedule.halfway()
        if not self.schedule.driver:
            return process
        self.driver_died_at = time.time()
        process.kill()
        process.wait()
        time.sleep(self.schedule.alone_s)
        self.restarted_at = time.time()
        return self._start(self.command.again, log)

    def _end(self, process: "subprocess.Popen[bytes]") -> None:
        """End the command, and then whatever it left behind."""
        if process.poll() is None:
            process.kill()
        process.wait()
        time.sleep(1.0)  # workers end with their parents
        for pid in _marked(self.settings.folder):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@dataclass(frozen=True)
class Figures:
    """What the workers' notes say about a search."""

    kills: int
    crashes: int
    """Processes that ended by themselves, with an error."""
    epochs: float
    """Trained, for each epoch that was needed."""
    gap_p50_s: float | None
    """From a kill to the next attempt at its trial."""
    gap_p95_s: float | None
    never: int
    """Killed trials without another attempt."""
    wall_s: float | None
    """From the first attempt until as many trials as wanted had trained; None if that never was."""
    alone: int = 0
    """Trials that trained to their ends while the driver was dead."""
    again_s: float | None = None
    """From the command by hand to the next attempt."""


def figures(fire: Fire, lines: Sequence[Line]) -> Figures:
    """The figures of a search."""
    settings = fire.settings
    begun = [(line.at, line.trial) for line in lines if line.event == "begin"]
    ends: dict[str, float] = {}
    for line in lines:
        if line.event == "end":
            ends.setdefault(line.trial, line.at)
    gaps = [_gap(at, trial, begun) for at, trial in fire.kills]
    found = sorted(gap for gap in gaps if gap is not None)
    last = sorted(ends.values())[settings.trials - 1 : settings.trials]
    trained = sum(line.event == "epoch" for line in lines)
    died, again = fire.driver_died_at or 0.0, fire.restarted_at or 0.0
    return Figures(
        kills=len(fire.kills),
        crashes=sum(line.event == "crash" for line in lines),
        epochs=trained / (settings.trials * settings.epochs),
        gap_p50_s=statistics.median(found) if found else None,
        gap_p95_s=found[max(-(-len(found) * 95 // 100) - 1, 0)] if found else None,
        never=sum(gap is None for gap in gaps),
        wall_s=last[0] - lines[0].at if last else None,
        alone=sum(died < at < again for at in ends.values()),
        again_s=min((at - again for at, _ in begun if at > again), default=None) if again else None,
    )


def _gap(killed_at: float, trial: str, begun: Sequence[tuple[float, str]]) -> float | None:
    later = (at - killed_at for at, name in begun if name == trial and at > killed_at)
    return min(later, default=None)


def _marked(folder: str) -> list[int]:
    """Processes of one search, by a variable that all of them inherit."""
    mark, found = f"{MARK}={folder}".encode(), list[int]()
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if mark in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
    return found
