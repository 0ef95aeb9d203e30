"""An accuracy table in a folder: as JSON, as CSV, and as figures; the whole of it or nothing."""

import csv
import json
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from risexp.app.benchmark.accuracy.document import document, records
from risexp.app.benchmark.accuracy.measure import AccuracyTable
from risexp.app.benchmark.accuracy.plots import FIGURES
from risexp.errors import DataInvalid

_FORMATS = ("png", "svg")


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A folder to write into, which takes its name only once everything is written.

    Raises:
        DataInvalid: Something stands there already, or nothing could take its place.
    """
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


def write_files(table: AccuracyTable, folder: Path) -> None:
    """Write accuracy.json, accuracy.csv, and each figure as PNG and SVG."""
    text = json.dumps(document(table), indent=2, allow_nan=False)
    (folder / "accuracy.json").write_text(f"{text}\n", encoding="utf-8")
    rows = records(table)
    with (folder / "accuracy.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    for name, draw in FIGURES.items():
        figure = draw(table)
        for kind in _FORMATS:
            figure.savefig(folder / f"{name}.{kind}", format=kind, dpi=200)


def _expect_free(folder: Path, target: Path) -> None:
    if target.exists() and not target.is_dir():
        raise DataInvalid(f"{folder} is a file: name a folder that does not exist yet")
    if target.is_dir() and any(target.iterdir()):
        raise DataInvalid(f"{folder} is not empty: name a folder that does not exist yet")
    if target == Path.cwd() or target.is_mount():
        raise DataInvalid(f"{folder} cannot be replaced as a whole: name a folder inside it")
