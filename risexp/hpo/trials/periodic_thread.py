"""Something done every few seconds beside the main thread, whose errors are not lost."""

from collections.abc import Callable
from typing import Final

from risexp.core.threads import BackgroundThread
from risexp.errors import EnvironmentFailed

AGAIN_S: Final = 1.0
"""How soon it is tried again where the machine failed; owners come before reapers."""


class PeriodicThread(BackgroundThread):
    """Does one thing again and again while it is entered.

    Where the machine fails, it is done again soon. Any other error ends it and stays in `error`.
    """

    def __init__(
        self,
        name: str,
        period_s: float,
        action: Callable[[], object],
        again_s: float = AGAIN_S,
    ) -> None:
        super().__init__(name)
        self.error: Exception | None = None
        self._period_s = period_s
        self._again_s = min(again_s, period_s)
        self._action = action

    def _work(self) -> None:
        wait = self._period_s
        while not self._left.wait(wait):
            try:
                self._action()
                wait = self._period_s
            except EnvironmentFailed:
                wait = self._again_s
            except Exception as error:  # noqa: BLE001 - a thread's error is raised by whoever asks
                self.error = error
                return
