"""Ends a process in which nothing happens any more, once it is written down what it was at."""

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
"""Exit code of a process that ended itself because nothing happened in it any more."""
_STDERR: Final = 2
_LOOK_S: Final = 5.0
_PATIENCE_S: Final = 10.0
"""How long whoever gives the work back may take; what hangs may hold what that needs."""


class Silence:
    """How long nothing has happened, and how long that may be at a run's own pace.

    Time is counted look by look: that in which the process was stopped, or its machine asleep, is
    no silence.
    """

    def __init__(
        self, *, least_s: float = 300.0, first_s: float = 1800.0, times: float = 20.0
    ) -> None:
        """Begin with a silence.

        Args:
            least_s: That long it may always be.
            first_s: The same, until a whole epoch has shown what takes how long.
            times: How many times the longest silence so far it may be.
        """
        self.seconds = 0.0
        """Since the last event."""
        self._least_s, self._first_s, self._times = least_s, first_s, times
        self._longest_s = 0.0
        self._known = False
        self._events = self._seen = 0

    def __call__(self, event: Event) -> None:
        """Something has happened."""
        self._events += 1
        match event:
            case EpochEnded():
                self._known = True
            case RunStarted() | RunEnded():
                # What begins here takes a time of its own.
                self._known = False

    @property
    def limit_s(self) -> float:
        """How long it may be."""
        least_s = self._least_s if self._known else max(self._first_s, self._least_s)
        return max(least_s, self._times * self._longest_s)

    def pass_by(self, seconds: float) -> None:
        """Some time has passed since the last look."""
        if self._events == self._seen:
            self.seconds += seconds
            return
        self._seen = self._events
        self._longest_s = max(self._longest_s, self.seconds)
        self.seconds = 0.0


class Watchdog(BackgroundThread):
    """An observer that looks, while it is entered, whether it is still told anything.

    It looks from a thread of its own. Where not even that can run, because native code holds
    Python's lock, a timer that needs no lock writes the stacks to stderr, and the lease is lost.
    """

    def __init__(
        self,
        write: Callable[[Callable[[Path], None]], None],
        give_back: Callable[[], object],
        silence: Silence | None = None,
        look_s: float = _LOOK_S,
    ) -> None:
        """Be ready to look.

        Args:
            write: Given what writes the stacks to a place, chooses the place, or none.
            give_back: Gives back what the process works on; it may fail or hang.
            silence: How much there may be of it.
            look_s: Between two looks.
        """
        super().__init__("watchdog")
        self._write = write
        self._give_back = give_back
        self._silence = Silence() if silence is None else silence
        self._look_s = look_s

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        faulthandler.cancel_dump_traceback_later()

    def __call__(self, event: Event) -> None:
        """Something has happened."""
        self._silence(event)

    def _work(self) -> None:
        silence, at = self._silence, time.monotonic()
        while not self._left.wait(self._look_s):
            # It also fires in a process that was stopped for long: it may write, and end nothing.
            faulthandler.dump_traceback_later(silence.limit_s, file=_STDERR)
            before, at = at, time.monotonic()
            silence.pass_by(min(at - before, 2.0 * self._look_s))
            if silence.seconds > silence.limit_s:
                self._end()

    def _end(self) -> None:
        """Write down where every thread is, give the work back, and end whatever hangs."""
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
        """Do something that may hang with the rest, or fail; the process ends all the same."""
        helper = threading.Thread(target=action, name="watchdog's helper", daemon=True)
        helper.start()
        helper.join(_PATIENCE_S)


def _dump(place: Path) -> None:
    """Where every thread is."""
    with place.open("w", encoding="utf-8") as stream:
        faulthandler.dump_traceback(stream, all_threads=True)
    write_stderr(f"its stacks are in {place}")
