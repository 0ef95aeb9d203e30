"""What commands that measure methods share: names with commas, tables, and files that come last."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from risexp.cli.output import note, say, table

if TYPE_CHECKING:
    from risexp.app.benchmark.accuracy.tables import TextTable


def names_in(text: str) -> list[str]:
    """The names in a list with commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def say_tables(blocks: Iterable["TextTable"]) -> None:
    """Each table under its title."""
    for block in blocks:
        say(f"\n{block.title}")
        table(block.headings, block.rows)


def write_last(folder: Path | None, out: Path | None, write: Callable[[Path], None]) -> None:
    """Files come last: what was measured has been said by then, whatever becomes of a figure."""
    if folder is not None:
        write(folder)
        note(f"tables and figures go to {out}")
