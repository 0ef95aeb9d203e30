"""Ends a run, or a worker, on a signal: the first one ends the batch, the second one the process.

Outside training the first signal raises nothing, so no call to a store is cut short by it.
"""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import MethodType, TracebackType
from typing import Final

from risexp.core.signals import INTERRUPTED, SignalHandler, write_stderr
from risexp.runs.outcome import EndRun, Outcome, StopNow, signalled
from risexp.training.events import BatchEnded, EpochEnded, Event

SIGNALS: Final = (
    *(signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT),
    signal.SIGHUP,  # the terminal is gone
)
_PATIENCE_S: Final = 10.0
"""For a store that does not answer, once a signal has come."""


class SignalCallback(SignalHandler):
    """Ends the run after the batch in which a signal came; it is the last of a run's callbacks.

    The epoch of that batch is lost, and the checkpoint of the epoch before stays. A signal during
    a validation loses nothing, and a second signal stops the run at once.
    """

    def __init__(self, say: Callable[[str], None] = write_stderr) -> None:
        super().__init__(self._answer, SIGNALS)
        self._say = say
        self._honoured = False

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, trace)
        if self.numbers and not self._honoured and kind is None and self._outer() is None:
            # It came after the last event: the handler from before gets it now.
            by_hand = self.numbers[0] == signal.SIGINT
            signal.raise_signal(signal.SIGINT if by_hand else signal.SIGTERM)

    def __call__(self, event: Event) -> None:
        """End the run with a signal's outcome, after the signal."""
        outcome = self.outcome() if isinstance(event, BatchEnded | EpochEnded) else None
        if outcome is not None:
            raise EndRun(outcome)

    def outcome(self) -> Outcome | None:
        """The outcome of what ends because of a signal; None while none has come."""
        if not self.numbers:
            return None
        self._honoured = True
        return signalled(self.numbers[0])

    def sleep(self, seconds: float) -> None:
        """Wait for a store that does not answer; after a signal not for long.

        Raises:
            StopNow: A signal came a while ago.
        """
        if threading.current_thread() is not threading.main_thread():
            time.sleep(seconds)
        elif self.seconds_ago > _PATIENCE_S:
            self._honoured = True
            raise StopNow(signalled(self.numbers[0]))
        elif self.numbers:
            time.sleep(seconds)
        else:
            self.wait(seconds)

    def _answer(self, number: int) -> None:
        if len(self.numbers) > 1:
            self._honoured = True
            raise StopNow(replace(signalled(number), exit_code=INTERRUPTED))
        outer = self._outer()
        if outer is not None:
            outer.hear(number)
        name = signal.Signals(number).name
        self._say(f"{name}: ends with this batch; a second signal stops it at once")

    def _outer(self) -> "SignalCallback | None":
        """The callback that this one replaces, e.g. of the worker that trains the run."""
        methods = (each for each in self.before.values() if isinstance(each, MethodType))
        owners = (method.__self__ for method in methods)
        return next((each for each in owners if isinstance(each, SignalCallback)), None)


@contextmanager
def ignored_signals() -> Iterator[None]:
    """Ignore signals for a moment in the main thread: what is written now is written whole."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with SignalHandler(kinds=SIGNALS):
        yield
