"""The files of a run's record, by the names they have in its store."""

import io
import json
from collections.abc import Mapping
from pathlib import Path

from ruamel.yaml import YAML

from risexp.core.redaction import redacted
from risexp.runs.journal_format import Note
from risexp.tracking.confusion_image import BY_SNR, draw_bins, draw_confusion, picture_files
from risexp.tracking.upload_state import RecordedOutcome

Files = Mapping[str, bytes]


def told_files(folder: Path) -> Files:
    """What a run was told before it began: its plans, and its configuration in two languages."""
    config = (folder / "config.json").read_bytes()
    stream = io.StringIO()
    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = False
    writer.dump(json.loads(config)["given"], stream)
    return {
        "config.json": config,
        "config.yaml": stream.getvalue().encode(),
        "plans.json": (folder / "plans.json").read_bytes(),
    }


def attempt_files(folder: Path) -> Files:
    """What the attempts are computed with: environments, and code that differs from a commit."""
    names = ["environment.json", "source.json"]
    paths = [folder / name for name in names] + sorted(folder.glob("source-*.diff"))
    return {path.name: path.read_bytes() for path in paths if path.exists()}


def confusion_files(note: Note, uid: str, *, drawn: bool) -> Files:
    """Which counts an epoch took for which: the table, and its picture where one is wanted."""
    matrix, none = note.details["matrix"], note.details["none"]
    document = {"epoch": note.step, **note.details}
    files = {f"confusion/epoch-{note.step:06d}.json": json.dumps(document).encode()}
    if drawn:
        picture = draw_confusion(matrix, none, f"epoch {note.step}")
        files |= picture_files(picture, uid, note.step)
    return files


def best_confusion_files(note: Note, uid: str) -> Files:
    """Those of the best epoch, and a picture of its tables by SNR."""
    bins = note.details.get("by_snr", {})
    tables = [
        draw_confusion(each["matrix"], each["none"], f"epoch {note.step}, {name} dB")
        for name, each in bins.items()
    ]
    files = dict(confusion_files(note, uid, drawn=True))
    if tables:
        files |= picture_files(draw_bins(tables), uid, note.step, BY_SNR)
    return files


def calibration_files(note: Note) -> Files:
    """What was fitted on the best epoch."""
    document = {"epoch": note.step, **note.details}
    return {"calibration.json": json.dumps(document, indent=1).encode()}


def outcome_files(ending: RecordedOutcome) -> Files:
    """How the run ended, an error with its traceback."""
    return {"outcome.json": redacted(ending.model_dump_json(indent=1)).encode()}
