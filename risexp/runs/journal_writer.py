"""The journal of a run, open for new lines: one per epoch, on disk before the next epoch."""

import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from risexp.core.durable import set_aside, sync, write_durably
from risexp.core.spare import spare_of
from risexp.errors import DataInvalid, EnvironmentFailed
from risexp.runs.journal import (
    DAMAGED,
    RESTORED,
    TORN,
    Contents,
    Line,
    Note,
    Row,
    content_of,
    line_text,
    reading,
    sound_copy,
    utc_ms,
)
from risexp.runs.metrics import KEYS


class Journal:
    """The journal of one run, open for new lines; no value is written twice.

    Damage that earlier processes left is mended, and a note records it: an unfinished last line is
    cut off, and a damaged copy is replaced by the other one. If a value is written again and
    differs, the first one stays and a note records `nondeterminism`.
    """

    def __init__(
        self, path: Path, run: str, clock: Callable[[], int] = utc_ms, attempt: int = 1
    ) -> None:
        self.path = path
        self.run = run
        self._clock = clock
        self._attempt = attempt
        self._written: dict[int, dict[str, float | str]] = {}
        self.spent_s = 0.0
        """Wall time of earlier attempts."""
        self._read_earlier_attempts()

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Append the values of an epoch that are new; on return they are on disk."""
        known = self._written.get(step, {})
        words = {key: _number_or_word(value) for key, value in values.items()}
        new = {key: value for key, value in words.items() if key not in known}
        if new:
            finite = {key: value for key, value in new.items() if isinstance(value, float)}
            nonfinite = {key: value for key, value in new.items() if isinstance(value, str)}
            self._append(Row(self.run, step, self._clock(), finite, nonfinite, self._attempt))
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
        self._append(Note(self.run, step, self._clock(), event, details, self._attempt))

    def value(self, step: int, key: str) -> float | None:
        """A finite value that was written for an epoch; None if there is none."""
        value = self._written.get(step, {}).get(key)
        return value if isinstance(value, float) else None

    def missing(self, epochs: int) -> list[int]:
        """The epochs, up to this one, that have no row."""
        return [step for step in range(1, epochs + 1) if step not in self._written]

    def _read_earlier_attempts(self) -> None:
        with reading(self.path):
            text, lines = sound_copy(self.path)
        contents = lines.counted(0)
        for line in contents.lines:
            if line.run != self.run:
                raise DataInvalid(f"{self.path} is the journal of {line.run}, not of {self.run}")
        for row in contents.rows:
            known = self._written.get(row.step, {})
            self._written[row.step] = {**row.values, **row.nonfinite, **known}
        self.spent_s = contents.wall_s
        if text:
            self._mend(text[: contents.end], contents)

    def _mend(self, whole: bytes, contents: Contents) -> None:
        """Make both copies equal, and note what was damaged."""
        with _writing(self.path):
            own, spare = content_of(self.path), spare_of(self.path)
            restored = not own.startswith(whole)
            if restored:
                if own:
                    set_aside(self.path)
                write_durably(self.path, whole)
            elif own != whole:
                os.truncate(self.path, contents.end)
            if content_of(spare) != whole:
                spare.parent.mkdir(mode=0o700, exist_ok=True)
                write_durably(spare, whole)
        last = contents.lines[-1].step if contents.lines else 0
        if restored:
            self.note(last, RESTORED, {})
        elif contents.torn:
            self.note(last, TORN, {"bytes": contents.torn})
        noted = {place for note in contents.notes for place in note.details.get("bytes_at", [])}
        if fresh := [place for place in contents.damaged if place not in noted]:
            self.note(last, DAMAGED, {"bytes_at": fresh})

    def _append(self, line: Line) -> None:
        whole = line_text(line)
        with _writing(self.path):
            _append_durably(self.path, whole)
            _append_durably(spare_of(self.path), whole)


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
    if new:
        path.parent.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        before, written = os.fstat(descriptor).st_size, 0
        try:
            while written < len(text):
                # A disk that is nearly full takes a part, and then raises the reason.
                written += os.write(descriptor, text[written:])
            os.fsync(descriptor)
        except BaseException:
            # Not even a signal may leave half a line in the middle of a journal. What another
            # process has appended meanwhile stays: its own lines are whole.
            if os.fstat(descriptor).st_size == before + written:
                os.ftruncate(descriptor, before)
            raise
    finally:
        os.close(descriptor)
    if new:
        sync(path.parent)


def _number_or_word(value: float) -> float | str:
    return float(value) if math.isfinite(value) else str(float(value))
