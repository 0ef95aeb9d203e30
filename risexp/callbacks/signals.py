"""Ends a run on a signal: the first one ends the batch, the second one the process."""

import signal
from collections.abc import Callable
from types import TracebackType
from typing import Final

from risexp.core.signals import SignalHandler, write_stderr
from risexp.runs.outcome import EndRun, StopNow, signalled
from risexp.training.events import BatchEnded, EpochEnded, Event

SIGNALS: Final = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)


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
        if self.numbers and not self._honoured and kind is None:
            # It came after the last event: the handler from before gets it now.
            by_hand = self.numbers[0] == signal.SIGINT
            signal.raise_signal(signal.SIGINT if by_hand else signal.SIGTERM)

    def __call__(self, event: Event) -> None:
        """End the run with a signal's outcome, after the signal."""
        if self.numbers and isinstance(event, BatchEnded | EpochEnded):
            self._honoured = True
            raise EndRun(signalled(self.numbers[0]))

    def _answer(self, number: int) -> None:
        if len(self.numbers) > 1:
            self._honoured = True
            raise StopNow(signalled(number))
        name = signal.Signals(number).name
        self._say(f"{name}: the run ends with this batch; a second signal stops it at once")
