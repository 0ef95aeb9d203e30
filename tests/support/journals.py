"""Journals with a clock of their own."""

from collections.abc import Callable, Mapping
from pathlib import Path

from risexp.runs.journal_writer import Journal


def clock(start: int = 1_000) -> Callable[[], int]:
    """A clock that advances one second per call."""
    times = iter(range(start, start + 1_000_000, 1_000))
    return lambda: next(times)


def opened(folder: Path, start: int = 1_000) -> Journal:
    return Journal(folder / "journal.jsonl", "run-1", clock(start))


def written(folder: Path, *rows: Mapping[str, float]) -> Journal:
    """A journal with one row an epoch."""
    journal = opened(folder)
    for step, values in enumerate(rows, start=1):
        journal.write(step, values)
    return journal
