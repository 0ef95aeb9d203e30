"""What is said: results on stdout, everything else on stderr, tables that survive a pipe."""

import json
import os
import sys
from collections.abc import Sequence

import typer


class ReaderLeft(Exception):
    """Whoever read our output has closed the pipe; there is nobody left to tell."""


def say(text: str) -> None:
    """A line of the result.

    Raises:
        ReaderLeft: The other end of the pipe is closed.
    """
    try:
        typer.echo(text)
    except BrokenPipeError:
        # At exit Python would flush what is left, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise ReaderLeft from None


def note(text: str) -> None:
    """A line beside the result."""
    typer.echo(text, err=True)


def emit(document: object) -> None:
    """One JSON document, and nothing else, on stdout."""
    say(json.dumps(document, indent=2, allow_nan=False))


def table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Aligned columns; in a terminal that is too narrow, cells wrap."""
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
        grid.add_row(*row)
    Console(highlight=False, markup=False).print(grid)


def size(count: int) -> str:
    """Bytes in the unit a person would choose."""
    value, units = float(count), ("B", "kB", "MB", "GB", "TB")
    for unit in units[:-1]:
        if value < 1000.0:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000.0
    return f"{value:.1f} {units[-1]}"
