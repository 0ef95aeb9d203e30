"""Work done beside the main thread, for as long as a context is entered."""

import threading
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from typing import Self


class BackgroundThread(AbstractContextManager["BackgroundThread"], ABC):
    """Works in a thread of its own from being entered until it is left."""

    def __init__(self, name: str, leave_s: float | None = None) -> None:
        """Be ready to work.

        Args:
            name: Of the thread.
            leave_s: How long the work may still take once it is left; None: as long as it takes.
        """
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
