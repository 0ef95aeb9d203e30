"""The worker processes of one machine: started, looked after, and ended with whoever started them.

A crew decides nothing about trials. Workers are equal and need nobody: a crew only starts them,
starts those again that died, and tells whose death it saw, so that nobody has to wait for a lease.
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
"""Exit codes of a worker that ended by itself: nothing to do, or it was asked to."""
PROGRAM: Final = (sys.executable, "-m", "risexp")
"""This program under this interpreter."""
_CRASHES: Final = 3
"""Deaths of one worker in a row, without a trial brought to its end, after which it stays away."""


@dataclass(frozen=True)
class WorkerSpec:
    """What one worker of a crew is started with."""

    index: int
    command: Sequence[str]
    environment: Mapping[str, str]
    """Beside that of the process that starts it."""
    log: Path
    """What it says is added here."""
    program: Sequence[str] = PROGRAM
    """What the command is given to."""


@dataclass(frozen=True)
class WorkerDeath:
    """A worker that ended, and was not asked to."""

    index: int
    pid: int
    code: int
    """Negative: the number of the signal."""
    log: Path

    def sentence(self) -> str:
        """What happened, and where more is said."""
        how = f"died of exit code {self.code}"
        if self.code < 0:
            how = f"died of {signal.Signals(-self.code).name}"
        elif self.hung:
            how = "hung and ended itself"
        return f"worker {self.index} (process {self.pid}) {how}: see {self.log}"

    @property
    def hung(self) -> bool:
        """Whether it ended itself because nothing happened in it any more."""
        return self.code == HUNG


@dataclass
class _Worker:
    post: WorkerSpec
    process: "subprocess.Popen[bytes]"
    crashes: int = 0
    away: bool = False
    """Whether it has ended, however."""
    dead: bool = False
    """Whether it has ended, and was not asked to."""


@dataclass
class WorkerPool:
    """Workers, the oldest first."""

    posts: Sequence[WorkerSpec]
    crashes: int = _CRASHES
    _workers: list[_Worker] = field(default_factory=list, init=False)
    _ending: bool = field(default=False, init=False)

    def start(self) -> None:
        """Start every worker."""
        for post in self.posts:
            self._workers.append(_Worker(post, _started(post)))

    def look(self) -> list[WorkerDeath]:
        """See who has died since the last look; `again` starts them again."""
        deaths = []
        for worker in self._workers:
            code = worker.process.poll()
            if code is None or worker.away:
                continue
            worker.away = True
            _let_go(worker.process)
            # Before it listens to signals, a worker that is asked to end dies of it.
            asked = self._ending and code == -signal.SIGTERM
            if code not in LEFT and not asked:
                worker.crashes += 1
                worker.dead = True
                post = worker.post
                deaths.append(WorkerDeath(post.index, worker.process.pid, code, post.log))
        return deaths

    def restart_dead(self) -> None:
        """Start the dead again, unless they always die or the crew is to end."""
        for worker in self._workers:
            if worker.dead and not self._ending and worker.crashes < self.crashes:
                worker.process = _started(worker.post)
                worker.away = worker.dead = False

    def progressed(self) -> None:
        """A trial came to its end: deaths before it no longer count."""
        for worker in self._workers:
            worker.crashes = 0

    @property
    def pids(self) -> tuple[int, ...]:
        """Of those that are at work."""
        return tuple(each.process.pid for each in self._workers if not each.away)

    @property
    def gave_up(self) -> bool:
        """Whether nobody is left because all of them died again and again."""
        return bool(self._workers) and all(each.dead for each in self._workers)

    def terminate(self, number: int = signal.SIGTERM) -> None:
        """Ask everybody to end: at the first signal with the batch, at the second at once."""
        self._ending = True
        for worker in self._workers:
            if worker.process.poll() is None:
                worker.process.send_signal(number)

    def kill(self, pid: int) -> None:
        """Kill one of them, also if it is stopped; the next look sees its death."""
        for worker in self._workers:
            if worker.process.pid == pid and not worker.away:
                worker.process.kill()

    def end(self, patience_s: float) -> None:
        """Wait for everybody, and kill whoever takes longer."""
        self._ending = True
        until = time.monotonic() + patience_s
        for worker in self._workers:
            try:
                worker.process.wait(max(until - time.monotonic(), 0.0))
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()
            _let_go(worker.process)


def _started(post: WorkerSpec) -> "subprocess.Popen[bytes]":
    """A process of its own group: a Ctrl-C in the terminal reaches it through the crew alone."""
    post.log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(post.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        return subprocess.Popen(  # noqa: S603 - our own interpreter and our own words
            [*post.program, *post.command],
            env={**os.environ, **post.environment},
            # Its end of the pipe is closed with the crew, however that ends.
            stdin=subprocess.PIPE,
            stdout=descriptor,
            stderr=descriptor,
            start_new_session=True,
        )
    finally:
        os.close(descriptor)


def _let_go(process: "subprocess.Popen[bytes]") -> None:
    """Close our end of its pipe."""
    if process.stdin is not None:
        process.stdin.close()


def end_with_parent(descriptor: int, end: Callable[[], object]) -> threading.Thread:
    """In a worker: call `end` once whoever started it is gone.

    Args:
        descriptor: The worker's standard input, whose other end the crew holds open.
        end: Asks this process to end, for instance by a signal to itself.
    """

    def wait() -> None:
        # Past the stream's buffer, whose lock a waiting thread would hold when Python ends.
        while os.read(descriptor, 1):
            pass
        end()

    watcher = threading.Thread(target=wait, name="crew", daemon=True)
    watcher.start()
    return watcher
