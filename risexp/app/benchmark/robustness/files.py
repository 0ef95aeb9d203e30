"""A robustness table in a folder: as JSON, as CSV, and a figure for each SNR."""

import csv
import json
from pathlib import Path

from risexp.app.benchmark.robustness.document import document, records
from risexp.app.benchmark.robustness.measure import RobustnessTable
from risexp.app.benchmark.robustness.plots import draw_levels

_FORMATS = ("png", "svg")


def write_files(table: RobustnessTable, folder: Path) -> None:
    """Write robustness.json, robustness.csv, and each figure as PNG and SVG."""
    text = json.dumps(document(table), indent=2, allow_nan=False)
    (folder / "robustness.json").write_text(f"{text}\n", encoding="utf-8")
    rows = list(records(table))
    with (folder / "robustness.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    for snr_db in table.snr_db:
        figure = draw_levels(table, snr_db)
        for kind in _FORMATS:
            figure.savefig(folder / f"levels_{snr_db:g}dB.{kind}", format=kind, dpi=200)
