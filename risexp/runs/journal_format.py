"""The lines of a journal, and how they are read: to the last whole one, and none is passed over.

A row is `{run, step, time, values}`. Its time is fixed once, so that a row sent twice is one point;
what is no finite number stands beside the values as a word, under `nonfinite`. Other lines are
notes, `{run, step, time, event, details}`. Only a line that ends counts.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final

from pydantic import ConfigDict, TypeAdapter, ValidationError

from risexp.config.words import one_sentence
from risexp.errors import DataInvalid, EnvironmentFailed


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
    """Finite ones by key."""
    nonfinite: Mapping[str, str] = field(default_factory=dict)
    """`nan`, `inf` or `-inf` by key; left out of a line that has none."""


@dataclass(frozen=True)
class Note:
    """Something that happened to a run or to its journal."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    run: str
    step: int
    """The last epoch before it, or the one it is about."""
    time: int
    event: str
    details: Mapping[str, Any]


STARTED: Final = "started"
"""The event of the first line of every attempt."""
TORN: Final = "torn"
"""The event of a line that was cut off."""
_ROW: Final = TypeAdapter(Row)
_NOTE: Final = TypeAdapter(Note)


@dataclass(frozen=True)
class Contents:
    """What a journal holds."""

    lines: tuple[Row | Note, ...]
    end: int
    """Bytes up to the end of the last whole line: where to read on."""
    torn: int
    """Bytes after it, of a line that was never finished."""

    @property
    def rows(self) -> tuple[Row, ...]:
        """The lines that hold values."""
        return tuple(line for line in self.lines if isinstance(line, Row))

    @property
    def notes(self) -> tuple[Note, ...]:
        """The lines that hold none."""
        return tuple(line for line in self.lines if isinstance(line, Note))

    @property
    def wall_s(self) -> float:
        """Time of all attempts, each from its start to its last line."""
        events = [line.event if isinstance(line, Note) else "" for line in self.lines]
        # What was torn is noted before the next start, long after the attempt that tore it.
        told = [pair for pair in zip(events, self.lines, strict=True) if pair[0] != TORN]
        starts = [place for place, (event, _) in enumerate(told) if event == STARTED]
        spans = zip(starts, [*starts[1:], len(told)], strict=False)
        return sum(told[stop - 1][1].time - told[start][1].time for start, stop in spans) / 1000.0


def read_journal(path: Path, start: int = 0) -> Contents:
    """The whole lines of a journal.

    Args:
        path: The file.
        start: Bytes that were read before, up to the end of a line.

    Raises:
        DataInvalid: A line that is not the last one is damaged.
        EnvironmentFailed: The file cannot be read.
    """
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
        lines.append(_line(_NOTE if is_note else _ROW, line, f"{path} at byte {end}"))
        end += len(line) + 1
    return Contents(tuple(lines), end, len(unfinished))


def _line(kind: TypeAdapter[Row] | TypeAdapter[Note], text: bytes, place: str) -> Row | Note:
    try:
        return kind.validate_json(text, strict=True)
    except ValidationError as error:
        raise DataInvalid(f"{place} is no line of a journal: {one_sentence(error)}") from None
