"""Signal handlers that count, and that are replaced by the previous ones in the end."""

import os
import signal
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from types import FrameType, TracebackType
from typing import Final, Self

INTERRUPTED: Final = 130
"""Exit code after Ctrl-C."""
RELEASED: Final = 75
"""Exit code after any other signal."""


def exit_code_of(number: int) -> int:
    """Exit code of a process that a signal asked to end."""
    return INTERRUPTED if number == signal.SIGINT else RELEASED


def write_stderr(text: str) -> None:
    """Write a line from within a handler, past every buffer that may be half-written."""
    os.write(2, f"{text}\n".encode())


class SignalHandler(AbstractContextManager["SignalHandler"]):
    """Receives signals while it is entered."""

    def __init__(
        self,
        receive: Callable[[int], object] = lambda _: None,
        kinds: Iterable[int] = (signal.SIGINT, signal.SIGTERM),
    ) -> None:
        """Choose the signals; `receive` runs within the handler and may raise."""
        self.numbers: list[int] = []
        """Signals received, the first one first."""
        self._receive = receive
        self._kinds = tuple(kinds)

    def __enter__(self) -> Self:
        self._before = {kind: signal.signal(kind, self._handle) for kind in self._kinds}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            # None: it was not installed by Python.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        self.numbers.append(number)
        self._receive(number)
