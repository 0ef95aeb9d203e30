"""Ends a process that hangs, after its stacks are written and its trial is given back."""

import faulthandler
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from risexp.core.signals import write_stderr
from risexp.core.threads import BackgroundThread
from risexp.training.events import EpochEnded, Event, RunEnded, RunStarted

HUNG: Final = 76
"""Exit code of a process that hung and ended itself."""
_STDERR: Final = 2
_CHECK_S: Final = 5.0
_BOUND_S: Final = 10.0
"""Longest time to write stacks, and to give the trial back: the hang may block these too."""


class Silence:
    """Time since the last event, and its limit, which follows the pace of the run.

    Time is added check by check, so time in which the process was stopped does not count.
    """

    def __init__(
        self, *, least_s: float = 300.0, first_s: float = 1800.0, times: float = 20.0
    ) -> None:
        """Set the least limit, that before a whole epoch, and its ratio to the longest silence."""
        self.seconds = 0.0
        """Since the last event."""
        self._least_s, self._first_s, self._times = least_s, first_s, times
        self._longest_s = 0.0
        self._known = False
        self._events = self._seen = 0

    def __call__(self, event: Event) -> None:
        """Count an event."""
        self._events += 1
        match event:
            case EpochEnded():
                self._known = True
            case RunStarted() | RunEnded():
                # What follows has another pace.
                self._known = False

    @property
    def limit_s(self) -> float:
        """The limit in seconds."""
        least_s = self._least_s if self._known else max(self._first_s, self._least_s)
        return max(least_s, self._times * self._longest_s)

    def pass_by(self, seconds: float) -> None:
        """Add the time since the last check."""
        if self._events == self._seen:
            self.seconds += seconds
            return
        self._seen = self._events
        self._longest_s = max(self._longest_s, self.seconds)
        self.seconds = 0.0


class Watchdog(BackgroundThread):
    """A callback that checks from its own thread, while it is entered, that events still come.

    If native code holds Python's lock, that thread cannot run: then a timer without the lock writes
    the stacks to stderr, and the lease expires.
    """

    def __init__(
        self,
        write: Callable[[Callable[[Path], None]], None],
        give_back: Callable[[], object],
        silence: Silence | None = None,
        check_s: float = _CHECK_S,
    ) -> None:
        """Set what happens if the process hangs.

        `write` receives a function that writes the stacks, and chooses the path; `give_back` gives
        the trial back, and may fail or hang.
        """
        super().__init__("watchdog")
        self._write = write
        self._give_back = give_back
        self._silence = Silence() if silence is None else silence
        self._check_s = check_s

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        faulthandler.cancel_dump_traceback_later()

    def __call__(self, event: Event) -> None:
        """Count an event."""
        self._silence(event)

    def _work(self) -> None:
        silence, at = self._silence, time.monotonic()
        while not self._left.wait(self._check_s):
            # This also fires in a process that was stopped for long: it may write, but end nothing.
            faulthandler.dump_traceback_later(silence.limit_s, file=_STDERR)
            before, at = at, time.monotonic()
            silence.pass_by(min(at - before, 2.0 * self._check_s))
            if silence.seconds > silence.limit_s:
                self._end()

    def _end(self) -> None:
        """Write the stacks, give the trial back, and end the process."""
        silence = self._silence
        write_stderr(
            f"nothing has happened for {silence.seconds:.0f} s, at a pace that allows for "
            f"{silence.limit_s:.0f} s: the process ends itself, and its trial goes on from its "
            "last checkpoint"
        )
        self._bounded(lambda: self._write(_dump))
        self._bounded(self._give_back)
        os._exit(HUNG)

    def _bounded(self, action: Callable[[], object]) -> None:
        """Call something that may fail or hang; the process ends anyway."""
        thread = threading.Thread(target=action, name="watchdog action", daemon=True)
        thread.start()
        thread.join(_BOUND_S)


def _dump(path: Path) -> None:
    """Write the stack of every thread."""
    with path.open("w", encoding="utf-8") as stream:
        faulthandler.dump_traceback(stream, all_threads=True)
    write_stderr(f"its stacks are in {path}")
