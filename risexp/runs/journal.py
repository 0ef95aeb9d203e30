"""The record of a run, and its spool: one JSON line an epoch, on the disk before the next."""

import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from risexp.core.durable import sync
from risexp.errors import DataInvalid, EnvironmentFailed
from risexp.runs.journal_format import TORN, Note, Row, read_journal
from risexp.runs.metrics import KEYS


def utc_ms() -> int:
    """Milliseconds since 1970, UTC."""
    return time.time_ns() // 1_000_000


class Journal:
    """One run's journal, open to be continued; nothing is ever written twice.

    An unfinished last line is cut off, and a note says so. A value that stands there already is not
    written again; where it is another one, the first stays and a note says `nondeterminism`.
    """

    def __init__(self, path: Path, run: str, clock: Callable[[], int] = utc_ms) -> None:
        self.path = path
        self.run = run
        self._clock = clock
        self._written: dict[int, dict[str, float | str]] = {}
        self.spent_s = 0.0
        """Wall time of earlier attempts."""
        if path.exists():
            self._take_up()

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Add the values of an epoch that are not there yet; on return they are on the disk.

        Raises:
            EnvironmentFailed: They are not; no part of the line is left.
        """
        known = self._written.get(step, {})
        told = {key: _told(value) for key, value in values.items()}
        fresh = {key: value for key, value in told.items() if key not in known}
        if fresh:
            finite = {key: value for key, value in fresh.items() if isinstance(value, float)}
            words = {key: value for key, value in fresh.items() if isinstance(value, str)}
            self._append(Row(self.run, step, self._clock(), finite, words))
            self._written[step] = {**known, **fresh}
        changed = {
            key: [known[key], value]
            for key, value in told.items()
            if key in known and known[key] != value and _repeats(key)
        }
        if changed:
            self.note(step, "nondeterminism", changed)

    def note(self, step: int, event: str, details: Mapping[str, Any]) -> None:
        """Add a line that holds no values.

        Raises:
            EnvironmentFailed: It cannot be written.
        """
        self._append(Note(self.run, step, self._clock(), event, details))

    def value(self, step: int, key: str) -> float | None:
        """What was written for an epoch; None where nothing was, or no finite number."""
        value = self._written.get(step, {}).get(key)
        return value if isinstance(value, float) else None

    def missing(self, epochs: int) -> list[int]:
        """Those of the first epochs that have no row."""
        return [step for step in range(1, epochs + 1) if step not in self._written]

    def _take_up(self) -> None:
        contents = read_journal(self.path)
        for line in contents.lines:
            if line.run != self.run:
                raise DataInvalid(f"{self.path} is the journal of {line.run}, not of {self.run}")
        for row in contents.rows:
            known = self._written.get(row.step, {})
            self._written[row.step] = {**row.values, **row.nonfinite, **known}
        self.spent_s = contents.wall_s
        if contents.torn:
            with _explained(self.path):
                os.truncate(self.path, contents.end)
            last = contents.lines[-1].step if contents.lines else 0
            self.note(last, TORN, {"bytes": contents.torn})

    def _append(self, line: Row | Note) -> None:
        document = asdict(line)
        if isinstance(line, Row) and not line.nonfinite:
            del document["nonfinite"]
        text = json.dumps(document, separators=(",", ":"), allow_nan=False) + "\n"
        with _explained(self.path):
            _append_durably(self.path, text.encode())


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EnvironmentFailed(
            f"cannot write {path}: {error.strerror}; make room and go on from the last checkpoint"
        ) from None


def _append_durably(path: Path, text: bytes) -> None:
    """All of it, or nothing."""
    new = not path.exists()
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        _write_all(descriptor, text)
    finally:
        os.close(descriptor)
    if new:
        sync(path.parent)


def _write_all(descriptor: int, text: bytes) -> None:
    before = os.fstat(descriptor).st_size
    try:
        written = os.write(descriptor, text)
        while written < len(text):
            # The disk is nearly full: the rest is taken, or the reason is told.
            written += os.write(descriptor, text[written:])
        os.fsync(descriptor)
    except BaseException:
        # Not even a signal may leave half a line in the middle of a journal.
        os.ftruncate(descriptor, before)
        raise


def _told(value: float) -> float | str:
    return float(value) if math.isfinite(value) else str(float(value))


def _repeats(key: str) -> bool:
    return key not in KEYS or KEYS[key].repeats
