"""What a benchmark shows and keeps: one document, flat records, blocks of text, and figures."""

import csv
import json
import math
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from risexp.errors import DataInvalid
from risexp.evaluation.intervals import Interval

Number = float | None
"""Null where a value is undefined: JSON knows neither NaN nor infinity."""
Record = dict[str, float | str | None]

_FORMATS = ("png", "svg")


@dataclass(frozen=True)
class TextTable:
    """Cells under headings under a title."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class BenchmarkResult:
    """The table of one benchmark in every form in which it is shown or kept."""

    name: str
    """Stem of the JSON and the CSV file."""
    document: dict[str, Any]
    records: list[Record]
    """One for each row of the CSV; all have the same keys."""
    blocks: tuple[TextTable, ...]
    """At most 100 columns wide for names of ordinary length."""
    figures: Mapping[str, Callable[[], Figure]]
    """Functions that draw them, by the stems of their files."""

    def write(self, folder: Path) -> None:
        """Write the document as JSON, the records as CSV, and each figure as PNG and SVG."""
        text = json.dumps(self.document, indent=2, allow_nan=False)
        (folder / f"{self.name}.json").write_text(f"{text}\n", encoding="utf-8")
        with (folder / f"{self.name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(self.records[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.records)
        for stem, draw in self.figures.items():
            figure = draw()
            for kind in _FORMATS:
                figure.savefig(folder / f"{stem}.{kind}", format=kind, dpi=200)


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A folder to write into, which takes its name only once everything is written."""
    target = folder.resolve()
    _expect_free(folder, target)
    partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}.partial")
    above = [parent for parent in target.parents if not parent.exists()]
    try:
        partial.mkdir(parents=True)
        yield partial
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        for parent in above:
            # Once the folder has its name they are not empty, and stay.
            with suppress(OSError):
                parent.rmdir()


def _expect_free(folder: Path, target: Path) -> None:
    if target.exists() and not target.is_dir():
        raise DataInvalid(f"{folder} is a file: name a folder that does not exist yet")
    if target.is_dir() and any(target.iterdir()):
        raise DataInvalid(f"{folder} is not empty: name a folder that does not exist yet")
    if target == Path.cwd() or target.is_mount():
        raise DataInvalid(f"{folder} cannot be replaced as a whole: name a folder inside it")


def with_ends(interval: Interval) -> dict[str, Number]:
    """The scores of an interval by name, with its ends as `name_low` and `name_high`."""
    values, ends = interval.value.as_json(), interval.as_json()
    return {
        f"{name}{end}": value
        for name in values
        for end, value in zip(("", "_low", "_high"), (values[name], *ends[name]), strict=True)
    }


def score_ends(interval: Interval, score: str) -> tuple[float, float, float]:
    """Value, lower end and upper end of one score."""
    value, low, high = (
        getattr(scores, score) for scores in (interval.value, interval.low, interval.high)
    )
    return value, low, high


def finite(value: Number) -> Number:
    """The value, or null where it is no number."""
    return value if value is not None and math.isfinite(value) else None


def rate(value: float, digits: int) -> str:
    """A number without the zero before the point, as rates are printed."""
    return number(value, digits).removeprefix("0")


def number(value: float, digits: int) -> str:
    """A number with so many digits; a dash where it is undefined."""
    # Adding zero takes the sign from what is rounded to nothing.
    return f"{round(value, digits) + 0.0:.{digits}f}" if math.isfinite(value) else "-"
