"""Signal handlers that count, and that are replaced by the previous ones in the end."""

import os
import signal
import time
from _thread import start_new_thread
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from types import FrameType, TracebackType
from typing import Any, Final, Self

INTERRUPTED: Final = 130
"""Exit code after Ctrl-C."""
RELEASED: Final = 75
"""Exit code after any other signal."""
_IMPORT: Final = "<frozen importlib._bootstrap>"
_SLICE_S: Final = 0.1
"""Time until a signal that came during a wait is noticed."""


def exit_code_of(number: int) -> int:
    """Exit code of a process that a signal asked to end."""
    return INTERRUPTED if number == signal.SIGINT else RELEASED


def write_stderr(text: str) -> None:
    """Write a line from within a handler, past every buffer that may be half-written.

    Where it cannot be written, e.g. into a log on a full disk, it is lost.
    """
    with suppress(OSError):
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
        self.before: dict[int, Any] = {}
        """The handlers that it replaces while it is entered."""
        self._came_at = 0.0
        self._receive = receive
        self._kinds = tuple(kinds)

    def __enter__(self) -> Self:
        # `nohup` ignores it, so that a command outlives its terminal.
        ignored = {signal.SIGHUP} if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN else set()
        try:
            for kind in (kind for kind in self._kinds if kind not in ignored):
                # Known before it is replaced: a signal may come in between.
                self.before[kind] = signal.getsignal(kind)
                signal.signal(kind, self._handle)
        except BaseException:  # `receive` may raise
            self._restore()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._restore()

    def wait(self, seconds: float) -> bool:
        """Wait this long, or until a signal comes; whether one has come."""
        end = time.monotonic() + seconds
        # Not an event: a handler that sets it may wait for the thread that it interrupts.
        while not self.numbers and (left := end - time.monotonic()) > 0.0:
            time.sleep(min(left, _SLICE_S))
        return bool(self.numbers)

    @property
    def seconds_ago(self) -> float:
        """Time since the first signal; zero before it."""
        return time.monotonic() - self._came_at if self.numbers else 0.0

    def hear(self, number: int) -> None:
        """Count a signal that another handler has received."""
        if not self.numbers:
            self._came_at = time.monotonic()
        self.numbers.append(number)

    def _restore(self) -> None:
        for number, handler in self.before.items():
            # None: it was not installed by Python.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if _is_importing(frame):
            _send_later(number)
            return
        self.hear(number)
        self._receive(number)


def _is_importing(frame: FrameType | None) -> bool:
    """Whether a module is being loaded.

    An exception that a handler raises there may be swallowed, as torch does where it loads NumPy:
    the process would go on with half a module, and without the signal.
    """
    while frame is not None and frame.f_code.co_filename != _IMPORT:
        frame = frame.f_back
    return frame is not None


def _send_later(number: int) -> None:
    def send() -> None:
        time.sleep(_SLICE_S)
        os.kill(os.getpid(), number)

    # Not a `Thread`: what the handler interrupts may hold the lock that starting one takes.
    start_new_thread(send, ())


@contextmanager
def signals_held() -> Iterator[None]:
    """Finish the body even if a signal comes; a second signal is handled as usual."""

    def receive(number: int) -> None:
        usual = handler.before[number]
        if len(handler.numbers) > 1 and callable(usual):
            usual(number, None)

    handler = SignalHandler(receive)
    with handler:
        yield
