"""The lines of a run's journal (`journal.jsonl`), as they are written and read.

A row is `{run, step, time, attempt, values}`. Its time is fixed once, so a row that is uploaded
twice stays one point; values that are not finite are written as words under `nonfinite`. All other
lines are notes, `{run, step, time, attempt, event, details}`. Every line ends with its checksum,
and only a line with its line end counts.

A process that has lost its lease may still append a line, if it was stopped within a write. So the
lines of an attempt no longer count once a later attempt has begun, and of several values for one
key and epoch the first counts. `spares/journal.jsonl` is a copy, for lines that are damaged.
"""

import json
import re
import time
import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final

from pydantic import ConfigDict, Field, TypeAdapter

from risexp.core.spare import spare_of
from risexp.errors import EnvironmentFailed

STARTED: Final = "started"
"""The event of the first line of every attempt."""
TORN: Final = "torn"
"""The event that records a line which was cut off."""
DAMAGED: Final = "damaged"
"""The event that records lines which are damaged in both copies, and are left out."""
RESTORED: Final = "restored"
"""The event that records that the journal was restored from its spare copy."""
_CHECKSUM: Final = re.compile(rb',"crc":"([0-9a-f]{8})"}$')


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
    attempt: int = 0
    """Counted from 1; 0 in a line of an earlier version."""


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
    attempt: int = 0
    """Counted from 1; 0 in a line of an earlier version."""


Line = Row | Note
# Each forbids the other's fields, so the first that fits is the right one.
_LINE: Final = TypeAdapter[Line](Annotated[Line, Field(union_mode="left_to_right")])


@dataclass(frozen=True)
class Contents:
    """The lines of a journal."""

    lines: tuple[Line, ...] = ()
    """Those that count."""
    ends: tuple[int, ...] = ()
    """Bytes up to the end of each of them."""
    end: int = 0
    """Bytes up to the end of the last whole line: where to read on."""
    torn: int = 0
    """Bytes after it, of an unfinished line."""
    late: tuple[Line, ...] = ()
    """Lines that do not count: a process that had lost its lease wrote them."""
    damaged: tuple[int, ...] = ()
    """Where lines begin that are damaged in both copies."""

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
        # What is mended when the next attempt starts is noted long after the last one ended.
        mended = {TORN, DAMAGED, RESTORED}
        lines = [x for x in self.lines if not (isinstance(x, Note) and x.event in mended)]
        events = [line.event if isinstance(line, Note) else "" for line in lines]
        starts = [place for place, event in enumerate(events) if event == STARTED]
        spans = zip(starts, [*starts[1:], len(lines)], strict=False)
        return sum(lines[stop - 1].time - lines[start].time for start, stop in spans) / 1000.0


def read_journal(path: Path, start: int = 0) -> Contents:
    """The whole lines of a journal, from byte `start` on; none if there is no journal."""
    with reading(path):
        if start and path.exists() and path.stat().st_size == start:
            return Contents(end=start)
        _, lines = sound_copy(path)
    return lines.counted(start)


@dataclass(frozen=True)
class Lines:
    """The whole lines of one copy, each with its end, as they were written."""

    lines: tuple[tuple[Line, int], ...]
    end: int
    torn: int
    damaged: tuple[int, ...]

    @classmethod
    def of(cls, text: bytes) -> "Lines":
        """Read them; damaged lines are left out."""
        *whole, unfinished = text.split(b"\n")
        lines, damaged, end = list[tuple[Line, int]](), list[int](), 0
        for place, line in enumerate(whole, start=1):
            parsed = _parsed(line)
            if parsed is None and place == len(whole) and not unfinished:
                unfinished = line + b"\n"  # a crash of the machine can tear what lies before an end
                break
            if parsed is None:
                damaged.append(end)
            end += len(line) + 1
            if parsed is not None:
                lines.append((parsed, end))
        return cls(tuple(lines), end, len(unfinished), tuple(damaged))

    def counted(self, start: int) -> Contents:
        """Those that count, from a byte on."""
        kept, late, attempt = list[tuple[Line, int]](), list[Line](), 0
        known = defaultdict[int, set[str]](set)
        for line, end in self.lines:
            if 0 < line.attempt < attempt:
                late.append(line)
                continue
            attempt = max(attempt, line.attempt)
            new = _without(line, known[line.step]) if isinstance(line, Row) else line
            if new != line:
                late.append(line)
            if new is not None and end > start:
                kept.append((new, end))
        lines, ends = tuple(line for line, _ in kept), tuple(end for _, end in kept)
        return Contents(lines, ends, self.end, self.torn, tuple(late), self.damaged)


def _without(row: Row, known: set[str]) -> Row | None:
    """A row without the keys that are known, to which its own are added; None if none is left."""
    keys = {*row.values, *row.nonfinite}
    new = keys - known
    known |= keys
    if new == keys:
        return row
    values = {key: value for key, value in row.values.items() if key in new}
    words = {key: word for key, word in row.nonfinite.items() if key in new}
    return replace(row, values=values, nonfinite=words) if new else None


def line_text(line: Line) -> bytes:
    """A line with its checksum and its end."""
    document = asdict(line)
    if isinstance(line, Row) and not line.nonfinite:
        del document["nonfinite"]
    text = json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
    return b'%b,"crc":"%08x"}\n' % (text[:-1], zlib.crc32(text))


def sound_copy(path: Path) -> tuple[bytes, Lines]:
    """The copy with more whole lines."""
    text, spare = content_of(path), spare_of(path)
    lines = Lines.of(text)
    sound = not lines.damaged and not lines.torn
    if sound and (not spare.exists() or spare.stat().st_size <= len(text)):
        return text, lines
    other_text = content_of(spare)
    other = Lines.of(other_text)
    return (other_text, other) if len(other.lines) > len(lines.lines) else (text, lines)


def content_of(path: Path) -> bytes:
    """The content of a file; none if it is missing."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _parsed(text: bytes) -> Line | None:
    """A line; None if it is damaged."""
    sum_of = _CHECKSUM.search(text)
    if sum_of is not None:
        text = text[: sum_of.start()] + b"}"
        if zlib.crc32(text) != int(sum_of[1], 16):
            return None
    try:
        return _LINE.validate_json(text, strict=True)
    except ValueError:
        return None


def utc_ms() -> int:
    """Milliseconds since 1970, UTC."""
    return time.time_ns() // 1_000_000


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn an error of the disk into EnvironmentFailed, which names the path."""
    try:
        yield
    except OSError as error:
        raise EnvironmentFailed(f"cannot read {path}: {error.strerror}") from None
