"""Background threads that run for as long as a context is entered."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final, Self

from risexp.errors import EnvironmentFailed

RETRY_S: Final = 1.0
"""Wait before an action is repeated after the environment failed."""


class BackgroundThread(AbstractContextManager["BackgroundThread"], ABC):
    """Works in its own thread while it is entered."""

    def __init__(self, name: str, leave_s: float | None = None) -> None:
        """Prepare the thread; at the exit its work may take `leave_s`, or without limit if None."""
        self._left = threading.Event()
        self._leave_s = leave_s
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._left.set()
        self._thread.join(self._leave_s)

    @abstractmethod
    def _work(self) -> None:
        """Work until `_left` is set."""


class PeriodicThread(BackgroundThread):
    """Calls one action every `period_s` seconds while it is entered.

    After an `EnvironmentFailed` the action is repeated sooner. Any other error ends the thread and
    is kept in `error`.
    """

    def __init__(self, name: str, period_s: float, action: Callable[[], object]) -> None:
        super().__init__(name)
        self.error: Exception | None = None
        self._period_s = period_s
        self._retry_s = min(RETRY_S, period_s)
        self._action = action

    def _work(self) -> None:
        wait_s = self._period_s
        while not self._left.wait(wait_s):
            try:
                self._action()
                wait_s = self._period_s
            except EnvironmentFailed:
                wait_s = self._retry_s
            except Exception as error:  # noqa: BLE001 - the owner of the thread raises it
                self.error = error
                return
