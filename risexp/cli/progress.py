"""Progress of a long command: a bar in a terminal, a line now and then elsewhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from risexp.cli.output import note

_LINE_EVERY_S = 5.0


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A function to call with each advance, drawn on stderr."""
    if sys.stderr.isatty():
        with _bar(what, total) as advance:
            yield advance
    else:
        yield _lines(what, total)


def progress_of(what: str, total: int) -> Callable[[int], None]:
    """The same without a context: a line now and then, in a terminal too."""
    return _lines(what, total)


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
    done, printed_at = 0, monotonic()

    def advance(count: int) -> None:
        nonlocal done, printed_at
        done += count
        if monotonic() - printed_at >= _LINE_EVERY_S:
            printed_at = monotonic()
            note(f"{what}: {done} of {total}")

    return advance
