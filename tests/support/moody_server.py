"""A tracking server in a bad mood: away, hung, failing, or flapping, and well when it is told."""

import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal

from werkzeug.wrappers import Response

App = Callable[..., Iterable[bytes]]
"""An application of WSGI."""
Mood = Literal["well", "hung", "error", "cut", "deaf", "flapping"]
"""`cut` ends a connection before the request is done, `deaf` after it; `flapping` has them all."""
_FLAPS: tuple[Mood, ...] = ("error", "cut", "deaf", "deaf")


@dataclass
class Moods:
    """Stands before an application, and answers each request by its mood."""

    mood: Mood = "well"
    had: Counter[Mood] = field(default_factory=Counter)
    """Requests by the mood in which they were met."""
    hangs: threading.Event = field(default_factory=threading.Event)
    """Set once a request hangs."""
    over: threading.Event = field(default_factory=threading.Event)
    """To be set in the end: it frees what hangs."""
    _dice: Random = field(default_factory=lambda: Random(7))  # noqa: S311 - not for secrets

    def before(self, app: App) -> App:
        """The application behind these moods."""

        def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
            mood = self._met()
            self.had[mood] += 1
            if mood == "error":
                start("500 Internal Server Error", [("Content-Type", "text/html")])
                return [b"<html>out of order</html>"]
            if mood == "hung":
                self.hangs.set()
                self.over.wait(120.0)
            if mood in ("well", "deaf"):
                # It also closes the files that an answer was read from.
                whole = Response.from_app(app, environ, buffered=True)
                if mood == "well":
                    return whole(environ, start)
            return _cut_off(environ, start)

        return answer

    def _met(self) -> Mood:
        if self.mood != "flapping":
            return self.mood
        return self._dice.choice(_FLAPS) if self._dice.random() < 0.3 else "well"


def _cut_off(environ: dict[str, Any], start: Callable[..., object]) -> Iterable[bytes]:
    """End the connection without a word."""
    environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    start("200 OK", [])
    return [b""]
