"""The worker processes of one machine: starts them, restarts the dead, and ends them.

A pool decides nothing about trials. It reports the deaths that it sees, so that their trials
continue without waiting for a lease to expire.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from risexp.callbacks.watchdog import HUNG

LEFT: Final = frozenset({0, 75, 130})
"""Exit codes of a worker that ended as it should: no trial is left, or it was signalled."""
PROGRAM: Final = (sys.executable, "-m", "risexp")
"""Command that starts this program."""
_MAX_DEATHS: Final = 3
"""Deaths of one worker in a row, without a finished trial, after which it is not restarted."""


@dataclass(frozen=True)
class WorkerSpec:
    """How one worker of a pool is started."""

    index: int
    command: Sequence[str]
    environment: Mapping[str, str]
    """Added to the environment of this process."""
    log: Path
    """Its output is appended here."""
    program: Sequence[str] = PROGRAM
    """Program that receives the command."""


@dataclass(frozen=True)
class WorkerDeath:
    """A worker that ended without being asked to."""

    index: int
    pid: int
    code: int
    """Exit code; negative for the number of a signal."""
    log: Path

    def sentence(self) -> str:
        """One sentence: what happened, and where the log is."""
        how = f"died of exit code {self.code}"
        if self.code < 0:
            how = f"died of {signal.Signals(-self.code).name}"
        elif self.hung:
            how = "hung and ended itself"
        return f"worker {self.index} (process {self.pid}) {how}: see {self.log}"

    @property
    def hung(self) -> bool:
        """Whether its watchdog ended it."""
        return self.code == HUNG


@dataclass
class _Worker:
    spec: WorkerSpec
    process: "subprocess.Popen[bytes]"
    deaths_in_row: int = 0
    away: bool = False
    """Whether it has ended."""
    dead: bool = False
    """Whether it has ended without being asked to."""


@dataclass
class WorkerPool:
    """The workers of one machine."""

    specs: Sequence[WorkerSpec]
    _workers: list[_Worker] = field(default_factory=list, init=False)
    _ending: bool = field(default=False, init=False)

    def start(self) -> None:
        """Start every worker."""
        for spec in self.specs:
            self._workers.append(_Worker(spec, _start(spec)))

    def look(self) -> list[WorkerDeath]:
        """Deaths since the last look; `restart_dead` starts these workers again."""
        deaths = []
        for worker in self._workers:
            code = worker.process.poll()
            if code is None or worker.away:
                continue
            worker.away = True
            _close_pipe(worker.process)
            # A worker that has not yet installed its signal handlers dies of our signal.
            terminated = self._ending and code == -signal.SIGTERM
            if code not in LEFT and not terminated:
                worker.deaths_in_row += 1
                worker.dead = True
                spec = worker.spec
                deaths.append(WorkerDeath(spec.index, worker.process.pid, code, spec.log))
        return deaths

    def restart_dead(self) -> None:
        """Restart dead workers, unless they keep dying or the pool is ending."""
        for worker in self._workers:
            if worker.dead and not self._ending and worker.deaths_in_row < _MAX_DEATHS:
                worker.process = _start(worker.spec)
                worker.away = worker.dead = False

    def progressed(self) -> None:
        """Forget earlier deaths, because a trial was finished."""
        for worker in self._workers:
            worker.deaths_in_row = 0

    @property
    def pids(self) -> tuple[int, ...]:
        """Process ids of the workers that are running."""
        return tuple(each.process.pid for each in self._workers if not each.away)

    @property
    def gave_up(self) -> bool:
        """Whether every worker died too often to be restarted."""
        return bool(self._workers) and all(each.dead for each in self._workers)

    def terminate(self) -> None:
        """Signal every worker: the first ends it after the batch, the second at once."""
        self._ending = True
        for worker in self._workers:
            if worker.process.poll() is None:
                worker.process.send_signal(signal.SIGTERM)

    def kill(self, pid: int) -> None:
        """Kill one worker, even if it is stopped; the next look reports its death."""
        for worker in self._workers:
            if worker.process.pid == pid and not worker.away:
                worker.process.kill()

    def end(self, patience_s: float) -> None:
        """Wait for every worker, and kill those that take longer."""
        self._ending = True
        until = time.monotonic() + patience_s
        for worker in self._workers:
            try:
                worker.process.wait(max(until - time.monotonic(), 0.0))
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()
            _close_pipe(worker.process)


def _start(spec: WorkerSpec) -> "subprocess.Popen[bytes]":
    """Start a process in a session of its own: Ctrl-C reaches it only through the pool."""
    spec.log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(spec.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        return subprocess.Popen(  # noqa: S603 - our own interpreter and command
            [*spec.program, *spec.command],
            env={**os.environ, **spec.environment},
            # The pipe closes when this process ends, however it ends.
            stdin=subprocess.PIPE,
            stdout=descriptor,
            stderr=descriptor,
            start_new_session=True,
        )
    finally:
        os.close(descriptor)


def _close_pipe(process: "subprocess.Popen[bytes]") -> None:
    """Close our end of the worker's pipe."""
    if process.stdin is not None:
        process.stdin.close()


def end_with_parent(descriptor: int, end: Callable[[], object]) -> threading.Thread:
    """In a worker: call `end` once the process that started it is gone.

    Args:
        descriptor: Standard input of the worker, whose other end the pool holds open.
        end: Ends this process, e.g. by a signal to itself.
    """

    def wait() -> None:
        # Not through sys.stdin: a waiting thread would hold its lock when Python ends.
        while os.read(descriptor, 1):
            pass
        end()

    watcher = threading.Thread(target=wait, name="parent", daemon=True)
    watcher.start()
    return watcher
