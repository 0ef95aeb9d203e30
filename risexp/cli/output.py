"""Output of commands: results on stdout, progress and the rest on stderr."""

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

import typer

from risexp.core.printable import printable, shortened

if TYPE_CHECKING:
    from risexp.app.benchmark.results import TextTable

_LINE_EVERY_S = 5.0
_LONGEST_LINE = 1000


class ReaderLeft(Exception):
    """The reader of the output has closed the pipe."""


def say(text: str) -> None:
    """Print a line of the result."""
    try:
        typer.echo(printable(text))
    except BrokenPipeError:
        # Python would flush the rest at exit and print an error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise ReaderLeft from None


def note(text: str) -> None:
    """Print lines beside the result, each cut where it is too long to be read.

    Where they cannot be written, e.g. into a log on a full disk, they are lost.
    """
    lines = (shortened(line, _LONGEST_LINE) for line in printable(text).split("\n"))
    with suppress(OSError):
        typer.echo("\n".join(lines), err=True)


def emit(document: object) -> None:
    """Print one JSON document on stdout, and nothing else."""
    say(json.dumps(document, indent=2, allow_nan=False))


def answer(document: Callable[[], object], text: Callable[[], None], *, json: bool) -> None:
    """Print the result as one JSON document, or as text."""
    if json:
        emit(document())
    else:
        text()


def table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print aligned columns; in a narrow terminal cells wrap."""
    cells = [[str(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        widths = [max(map(len, column)) for column in zip(headings, *cells, strict=True)]
        for row in [headings, *cells]:
            padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            say("  ".join(padded).rstrip())
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table

    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for place, heading in enumerate(headings):
        last = place == len(headings) - 1
        grid.add_column(heading, overflow="fold", no_wrap=place == 0, ratio=1 if last else None)
    for row in cells:
        grid.add_row(*map(printable, row))
    Console(highlight=False, markup=False).print(grid)


def short(value: object) -> str:
    """A value as text, numbers with four digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def names_in(text: str) -> list[str]:
    """The names in a comma-separated list."""
    return [name.strip() for name in text.split(",") if name.strip()]


def say_tables(blocks: Iterable["TextTable"]) -> None:
    """Print every table under its title."""
    for block in blocks:
        say(f"\n{block.title}")
        table(block.headings, block.rows)


def write_last(folder: Path | None, out: Path | None, write: Callable[[Path], None]) -> None:
    """Write the files of a benchmark, after its results were printed in case a figure fails."""
    if folder is not None:
        write(folder)
        note(f"tables and figures go to {out}")


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A function to call with each advance, drawn on stderr."""
    if not sys.stderr.isatty():
        yield progress_of(what, total)
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=total)
        yield lambda count: bar.advance(task, count)


def progress_of(what: str, total: int) -> Callable[[int], None]:
    """The same without a context: a line now and then, in a terminal too."""
    done, printed_at = 0, monotonic()

    def advance(count: int) -> None:
        nonlocal done, printed_at
        done += count
        if monotonic() - printed_at >= _LINE_EVERY_S:
            printed_at = monotonic()
            note(f"{what}: {done} of {total}")

    return advance
