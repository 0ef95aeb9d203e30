"""The content of a run in MLflow besides its metrics: tags, params, data, notes and files."""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML

from risexp import __version__
from risexp.config.layers import load_config, preset_names
from risexp.config.run import RunConfig
from risexp.core.redaction import redacted
from risexp.core.spare import read_either, read_if_there
from risexp.runs.journal import Note, Row
from risexp.runs.source import Source
from risexp.runs.spec import Labels, read_config, read_spec
from risexp.tracking.confusion_image import BY_SNR, draw_confusion, image_files, side_by_side
from risexp.tracking.upload_state import INTERRUPTED, RecordedOutcome, UploadState

STATUS: Final[Mapping[str, str]] = {
    "complete": "FINISHED",
    "pruned": "KILLED",
    "aborted": "KILLED",
    "failed": "FAILED",
    "released": "RUNNING",
    "interrupted": "RUNNING",
}
"""MLflow's status for each status of an outcome; a run that can go on is running."""

EXPERIMENT_TAGS: Final[Mapping[str, str]] = {
    "mlflow.experimentKind": "custom_model_development",
    "mlflow.experiment.primaryMetric.name": "best/k_loc",
    "mlflow.experiment.primaryMetric.greaterIsBetter": "False",
    "mlflow.note.content": (
        "Networks that localise several sources in the near field of a reconfigurable intelligent "
        "surface.\n\nRank runs by `best/k_loc`: smaller is better, -1 is perfect, 10 the worst. "
        "`val/*` is the last epoch, not the best one. Each run's own folder, "
        "`mlruns/runs/<run>`, holds all its numbers and checkpoints; what a server missed is sent "
        "by `risexp sync`."
    ),
}
_LONGEST: Final = 500
"""Characters of a tag or param."""
_COMPARED: Final[Mapping[str, tuple[str | None, ...]]] = {
    "K accuracy": ("val/k_acc", "val/k_majority", "val/k_nomp", "val/k_reference"),
    "success": ("val/success_rate", None, "val/success_nomp", "val/success_reference"),
}
"""Rows of a note's table: keys for network, chance, NOMP and reference; None is zero."""

Files = Mapping[str, bytes]


@dataclass(frozen=True)
class Dataset:
    """Training or validation scenes, described by the law they are drawn from."""

    name: str
    context: str
    digest: str
    source: Mapping[str, Any]
    profile: Mapping[str, Any]


def uids_of(upload: UploadState, labels: Labels, began_ms: int) -> tuple[str, ...]:
    """Identities of a run, the one of a new run first.

    A trial has one run, in whichever home it is trained; earlier versions named it, like all other
    runs, by the time of its first line.
    """
    dated = f"{upload.run}@{began_ms}"
    if labels.parent is None or labels.trial is None:
        return (dated,)
    return (f"{labels.parent.uid}/{labels.trial}", dated)


def first_tags(upload: UploadState, uid: str, labels: Labels) -> dict[str, str]:
    """The tags with which a run is created: its identity, study and trial."""
    kind = "train" if labels.trial is None else "trial"
    tags = {"risexp.run": upload.run, "risexp.uid": uid, "risexp.kind": kind}
    if labels.study is not None:
        tags["risexp.study"] = labels.study
    if labels.trial is not None:
        tags["risexp.trial"] = str(labels.trial)
    return tags


def described_tags(upload: UploadState, labels: Labels) -> dict[str, str]:
    """The tags that describe the computation."""
    tags = {
        "risexp.version": __version__,
        "risexp.config_sha": read_spec(upload.path).sha,
        "risexp.data_digest": data_digest(read_config(upload.path)),
        "mlflow.source.type": "LOCAL",
        "mlflow.source.name": "risexp train" if labels.trial is None else "risexp hpo",
        "mlflow.note.content": note_of(upload, labels),
        # Without it the page of a run shows no images by epoch.
        "mlflow.loggedImages": "True",
    }
    if labels.preset is not None:
        tags["risexp.preset"] = labels.preset
    return tags | {name: _short(value) for name, value in labels.tags.items()}


def attempt_tags(attempt: int, sources: Sequence[Source]) -> dict[str, str]:
    """The tags of an attempt that starts."""
    tags = {"risexp.state": "running", "risexp.attempt": str(attempt)}
    if attempt > 1:
        tags["risexp.reason"] = "resumed"
    if sources and sources[-1].commit is not None:
        commit = sources[-1].commit
        tags |= {"risexp.git_commit": commit, "mlflow.source.git.commit": commit}
        tags["risexp.git_dirty"] = "true" if sources[-1].dirty else "false"
    return tags


def ending_tags(outcome: RecordedOutcome | None) -> dict[str, str]:
    """The tags of a run that ended; None: it ended without an outcome."""
    if outcome is None:
        return {"risexp.state": INTERRUPTED, "risexp.reason": INTERRUPTED}
    return {"risexp.state": outcome.status, "risexp.reason": _short(outcome.reason)}


def params_of(config: RunConfig, labels: Labels) -> dict[str, str]:
    """The searched values; without a search, the values that differ from preset or defaults."""
    if labels.searched:
        params = {name: _short(value) for name, value in labels.searched.items()}
        return params | ({} if labels.trial is None else {"trial": str(labels.trial)})
    known = labels.preset in preset_names()
    base = load_config(preset=labels.preset).config if known else RunConfig()
    usual, own = base.canonical().flat(), config.canonical().flat()
    return {name: _short(value) for name, value in own.items() if value != usual[name]}


def data_digest(config: RunConfig) -> str:
    """Hash of the sections that decide the scenes: physics and data."""
    return config.sha("physics", "data")


def datasets_of(config: RunConfig) -> tuple[Dataset, ...]:
    """Training and validation scenes: disjoint streams of one law."""
    digest = data_digest(config)[:32]
    source = {"generator": "risexp", "seed": config.data.seed}
    sizes = {
        "training": {"scenes_per_epoch": config.training.scenes_per_epoch},
        "validation": {"scenes": config.validation.scenes},
    }
    return tuple(
        Dataset(f"{context} scenes", context, digest, {**source, "split": context}, size)
        for context, size in sizes.items()
    )


def note_of(upload: UploadState, labels: Labels) -> str:
    """The note on a run's page before the run has ended."""
    base = labels.preset or "the defaults"
    lines = [
        *([labels.note, ""] if labels.note else []),
        f"Run `{upload.run}`, configured from {base}; params are what differs."
        if not labels.searched
        else f"Trial {labels.trial} of study `{labels.study}`; params are what was searched.",
        "",
        "- `risexp train --resume " + upload.run + "` goes on with it where it can go on;",
        "- `risexp eval " + upload.run + " --against nomp` puts it beside other methods;",
        f"- its folder is `mlruns/runs/{upload.run}` under the home it was started in.",
    ]
    return "\n".join(lines)


def final_note(
    upload: UploadState, labels: Labels, outcome: RecordedOutcome, best: Row | None
) -> str:
    """The note of a run that has ended: also the outcome, and the best epoch beside references."""
    lines = [note_of(upload, labels), "", redacted(outcome.sentence)]
    if best is not None:
        lines += ["", f"Best epoch {best.step}:", ""]
        lines += ["| | network | chance | NOMP | reference |", "|---|---|---|---|---|"]
        for name, keys in _COMPARED.items():
            cells = [_cell(best.values, key) for key in keys]
            lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(values: Mapping[str, float], key: str | None) -> str:
    if key is None:
        return f"{0.0:.3f}"
    return f"{values[key]:.3f}" if key in values else ""


def _short(value: object) -> str:
    text = redacted(str(value))
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def spec_files(folder: Path) -> Files:
    """The plans, and the configuration as JSON and YAML."""
    config = read_either(folder / "config.json")
    stream = io.StringIO()
    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = False
    writer.dump(json.loads(config)["given"], stream)
    return {
        "config.json": config,
        "config.yaml": stream.getvalue().encode(),
        "plans.json": read_either(folder / "plans.json"),
    }


def attempt_files(folder: Path) -> Files:
    """Environments and source code of the attempts."""
    documents = {name: read_if_there(folder / name) for name in ("environment.json", "source.json")}
    diffs = {path.name: path.read_bytes() for path in sorted(folder.glob("source-*.diff"))}
    return {name: text for name, text in documents.items() if text is not None} | diffs


def confusion_files(note: Note, uid: str, *, drawn: bool) -> Files:
    """The confusion of source counts of an epoch: a table, and an image if `drawn`."""
    document = {"epoch": note.step, **note.details}
    files = {f"confusion/epoch-{note.step:06d}.json": json.dumps(document).encode()}
    if drawn:
        image = draw_confusion(note.details["matrix"], note.details["none"], f"epoch {note.step}")
        files |= image_files(image, uid, note.step)
    return files


def best_confusion_files(note: Note, uid: str) -> Files:
    """The confusion of the best epoch, with an image of its tables by SNR."""
    images = [
        draw_confusion(table["matrix"], table["none"], f"epoch {note.step}, {name} dB")
        for name, table in note.details.get("by_snr", {}).items()
    ]
    files = dict(confusion_files(note, uid, drawn=True))
    if images:
        files |= image_files(side_by_side(images), uid, note.step, BY_SNR)
    return files


def calibration_files(note: Note) -> Files:
    """The calibration of the best epoch."""
    document = {"epoch": note.step, **note.details}
    return {"calibration.json": json.dumps(document, indent=1).encode()}


def outcome_files(outcome: RecordedOutcome) -> Files:
    """The outcome, with the traceback of an error."""
    return {"outcome.json": redacted(outcome.model_dump_json(indent=1)).encode()}
