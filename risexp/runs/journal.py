"""The journal of a run (`journal.jsonl`): one JSON line per epoch, on disk before the next epoch.

A row is `{run, step, time, values}`. Its time is fixed once, so a row that is uploaded twice stays
one point; values that are not finite are written as words under `nonfinite`. All other lines are
notes, `{run, step, time, event, details}`. Only a line with its line end counts.
"""

import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final

from pydantic import ConfigDict, TypeAdapter, ValidationError

from risexp.config.section import one_sentence
from risexp.core.durable import sync
from risexp.errors import DataInvalid, EnvironmentFailed
from risexp.runs.metrics import KEYS

STARTED: Final = "started"
"""The event of the first line of every attempt."""
TORN: Final = "torn"
"""The event that records a line which was cut off."""


@dataclass(frozen=True)
class Row:
    """Some values of one epoch."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", allow_inf_nan=False)

    run: str
    step: int
    """The epoch, counted from 1."""
    time: int
    """Milliseconds since 1970, UTC."""
    values: Mapping[str, float]
    """Finite values by key."""
    nonfinite: Mapping[str, str] = field(default_factory=dict)
    """`nan`, `inf` or `-inf` by key; the line has no such field if it is empty."""


@dataclass(frozen=True)
class Note:
    """An event of a run or of its journal."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    run: str
    step: int
    """The epoch that the note is about, or the last one before it."""
    time: int
    event: str
    details: Mapping[str, Any]


_ROW: Final = TypeAdapter(Row)
_NOTE: Final = TypeAdapter(Note)


@dataclass(frozen=True)
class Contents:
    """The lines of a journal."""

    lines: tuple[Row | Note, ...]
    end: int
    """Bytes up to the end of the last whole line: where to read on."""
    torn: int
    """Bytes after it, of an unfinished line."""

    @property
    def rows(self) -> tuple[Row, ...]:
        """The lines with values."""
        return tuple(line for line in self.lines if isinstance(line, Row))

    @property
    def notes(self) -> tuple[Note, ...]:
        """The lines without values."""
        return tuple(line for line in self.lines if isinstance(line, Note))

    @property
    def wall_s(self) -> float:
        """Seconds of all attempts, each one from its start to its last line."""
        # A torn line is noted when the next attempt starts, long after the one that tore it.
        lines = [x for x in self.lines if not (isinstance(x, Note) and x.event == TORN)]
        events = [line.event if isinstance(line, Note) else "" for line in lines]
        starts = [place for place, event in enumerate(events) if event == STARTED]
        spans = zip(starts, [*starts[1:], len(lines)], strict=False)
        return sum(lines[stop - 1].time - lines[start].time for start, stop in spans) / 1000.0


def read_journal(path: Path, start: int = 0) -> Contents:
    """The whole lines of a journal, from byte `start` on."""
    try:
        with path.open("rb") as file:
            file.seek(start)
            text = file.read()
    except OSError as error:
        raise EnvironmentFailed(f"cannot read {path}: {error.strerror}") from None
    *whole, unfinished = text.split(b"\n")
    lines, end = list[Row | Note](), start
    for place, line in enumerate(whole, start=1):
        try:
            is_note = "event" in json.loads(line)
        except (ValueError, TypeError):
            if place == len(whole) and not unfinished:
                unfinished = line + b"\n"  # a crash of the machine can tear what lies before an end
                break
            raise DataInvalid(
                f"{path} is damaged at byte {end}: no line of JSON, and more follow"
            ) from None
        lines.append(_parsed(_NOTE if is_note else _ROW, line, f"{path} at byte {end}"))
        end += len(line) + 1
    return Contents(tuple(lines), end, len(unfinished))


def _parsed(kind: TypeAdapter[Row] | TypeAdapter[Note], text: bytes, where: str) -> Row | Note:
    try:
        return kind.validate_json(text, strict=True)
    except ValidationError as error:
        raise DataInvalid(f"{where} is no line of a journal: {one_sentence(error)}") from None


def utc_ms() -> int:
    """Milliseconds since 1970, UTC."""
    return time.time_ns() // 1_000_000


class Journal:
    """The journal of one run, open for new lines; no value is written twice.

    An unfinished last line is cut off, and a note records that. If a value is written again and
    differs, the first one stays and a note records `nondeterminism`.
    """

    def __init__(self, path: Path, run: str, clock: Callable[[], int] = utc_ms) -> None:
        self.path = path
        self.run = run
        self._clock = clock
        self._written: dict[int, dict[str, float | str]] = {}
        self.spent_s = 0.0
        """Wall time of earlier attempts."""
        if path.exists():
            self._read_earlier_attempts()

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Append the values of an epoch that are new; on return they are on disk."""
        known = self._written.get(step, {})
        words = {key: _number_or_word(value) for key, value in values.items()}
        new = {key: value for key, value in words.items() if key not in known}
        if new:
            finite = {key: value for key, value in new.items() if isinstance(value, float)}
            nonfinite = {key: value for key, value in new.items() if isinstance(value, str)}
            self._append(Row(self.run, step, self._clock(), finite, nonfinite))
            self._written[step] = {**known, **new}
        changed = {
            key: [known[key], value]
            for key, value in words.items()
            if key in known and known[key] != value and (key not in KEYS or KEYS[key].repeats)
        }
        if changed:
            self.note(step, "nondeterminism", changed)

    def note(self, step: int, event: str, details: Mapping[str, Any]) -> None:
        """Append a line without values; raises as `write` does."""
        self._append(Note(self.run, step, self._clock(), event, details))

    def value(self, step: int, key: str) -> float | None:
        """A finite value that was written for an epoch; None if there is none."""
        value = self._written.get(step, {}).get(key)
        return value if isinstance(value, float) else None

    def missing(self, epochs: int) -> list[int]:
        """The epochs, up to this one, that have no row."""
        return [step for step in range(1, epochs + 1) if step not in self._written]

    def _read_earlier_attempts(self) -> None:
        contents = read_journal(self.path)
        for line in contents.lines:
            if line.run != self.run:
                raise DataInvalid(f"{self.path} is the journal of {line.run}, not of {self.run}")
        for row in contents.rows:
            known = self._written.get(row.step, {})
            self._written[row.step] = {**row.values, **row.nonfinite, **known}
        self.spent_s = contents.wall_s
        if contents.torn:
            with _writing(self.path):
                os.truncate(self.path, contents.end)
            last = contents.lines[-1].step if contents.lines else 0
            self.note(last, TORN, {"bytes": contents.torn})

    def _append(self, line: Row | Note) -> None:
        document = asdict(line)
        if isinstance(line, Row) and not line.nonfinite:
            del document["nonfinite"]
        text = json.dumps(document, separators=(",", ":"), allow_nan=False) + "\n"
        with _writing(self.path):
            _append_durably(self.path, text.encode())


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EnvironmentFailed(
            f"cannot write {path}: {error.strerror}; make room and go on from the last checkpoint"
        ) from None


def _append_durably(path: Path, text: bytes) -> None:
    """Append all of the text, or nothing."""
    new = not path.exists()
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        before = os.fstat(descriptor).st_size
        try:
            written = os.write(descriptor, text)
            while written < len(text):
                # The disk is nearly full: it takes the rest, or raises the reason.
                written += os.write(descriptor, text[written:])
            os.fsync(descriptor)
        except BaseException:
            # Not even a signal may leave half a line in the middle of a journal.
            os.ftruncate(descriptor, before)
            raise
    finally:
        os.close(descriptor)
    if new:
        sync(path.parent)


def _number_or_word(value: float) -> float | str:
    return float(value) if math.isfinite(value) else str(float(value))
