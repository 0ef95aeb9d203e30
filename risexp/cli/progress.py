"""How far a long command has come: a bar in a terminal, a line now and then elsewhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

from risexp.cli.output import note

if TYPE_CHECKING:
    from risexp.app.search.study_view import StudyView

_LINE_EVERY_S = 5.0


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A function to be told of each advance, drawn on stderr."""
    if sys.stderr.isatty():
        with _bar(what, total) as advance:
            yield advance
    else:
        yield _lines(what, total)


def progress_of(what: str, total: int) -> Callable[[int], None]:
    """The same for who cannot be entered: a line now and then, in a terminal too."""
    return _lines(what, total)


@contextmanager
def viewed(*, quiet: bool) -> Iterator["StudyView"]:
    """A study on stderr while it is worked on; nothing of it where a document is wanted."""
    from rich.console import Console

    from risexp.app.search.study_view import StudyView

    with StudyView(Console(stderr=True, quiet=quiet, highlight=False)) as view:
        yield view


@contextmanager
def _bar(what: str, total: int) -> Iterator[Callable[[int], None]]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=total)
        yield lambda count: bar.advance(task, count)


def _lines(what: str, total: int) -> Callable[[int], None]:
    done, said = 0, monotonic()

    def advance(count: int) -> None:
        nonlocal done, said
        done += count
        if monotonic() - said >= _LINE_EVERY_S:
            said = monotonic()
            note(f"{what}: {done} of {total}")

    return advance
