"""Signals: the first one ends the batch, the second one the process."""

import os
import signal
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Final, Self

from risexp.runs.outcome import EndRun, StopNow, signalled
from risexp.training.events import BatchEnded, EpochEnded, Event

HEARD: Final = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)

Handler = Callable[[int, FrameType | None], object] | int | None


def on_stderr(text: str) -> None:
    """Say something from within a handler, past every buffer that may be half-written."""
    os.write(2, f"{text}\n".encode())


class SignalCallback:
    """An observer that listens to the system while it is entered; to be told events last.

    A run ends at the end of the batch in which the first signal came, and its epoch is given up:
    what was kept after the epoch before stands. After a validation nothing is lost.
    """

    def __init__(self, tell: Callable[[str], None] = on_stderr) -> None:
        self.received: int | None = None
        """The first signal."""
        self._tell = tell
        self._honoured = False
        self._before: dict[int, Handler] = {}

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._receive) for number in HEARD}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        if self.received is not None and not self._honoured and kind is None:
            # It came after the last event: whoever listened before hears it now.
            signal.raise_signal(signal.SIGINT if self._by_hand else signal.SIGTERM)

    def __call__(self, event: Event) -> None:
        """End the run where a signal has come.

        Raises:
            EndRun: With the signal's outcome.
        """
        if self.received is not None and isinstance(event, BatchEnded | EpochEnded):
            self._honoured = True
            raise EndRun(signalled(self.received))

    @property
    def _by_hand(self) -> bool:
        return self.received == signal.SIGINT

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        if self.received is not None:
            self._honoured = True
            raise StopNow(signalled(number))
        self.received = number
        name = signal.Signals(number).name
        self._tell(f"{name}: the run ends with this batch; a second signal stops it at once")
