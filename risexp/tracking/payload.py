"""What is said of a run besides its numbers: tags, params, data and a note, as plain words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from risexp import __version__
from risexp.config.layers import load_config, preset_names
from risexp.config.run import RunConfig
from risexp.core.redaction import redacted
from risexp.runs.journal_format import Row
from risexp.runs.labels import Labels
from risexp.runs.source import Source
from risexp.tracking.upload_state import INTERRUPTED, RecordedOutcome, UploadState

STATUS: Final[Mapping[str, str]] = {
    "complete": "FINISHED",
    "pruned": "KILLED",
    "aborted": "KILLED",
    "failed": "FAILED",
    "released": "RUNNING",
    "interrupted": "RUNNING",
}
"""MLflow's word for each status of an outcome; a run that goes on is running."""

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
"""Characters of a tag or param that came from a message or a list."""


@dataclass(frozen=True)
class Dataset:
    """The scenes a run is trained or judged on, by the law they are drawn from."""

    name: str
    context: str
    digest: str
    source: Mapping[str, Any]
    profile: Mapping[str, Any]


def uid_of(spool: UploadState, began_ms: int) -> str:
    """What tells a run from all others, in whatever home: its name and its first moment."""
    return f"{spool.run}@{began_ms}"


def first_tags(spool: UploadState, uid: str, labels: Labels) -> dict[str, str]:
    """The tags that a run is created with: those it is found by, and its place among others."""
    kind = "train" if labels.trial is None else "trial"
    found = {"risexp.run": spool.run, "risexp.uid": uid, "risexp.kind": kind}
    if labels.study is not None:
        found["risexp.study"] = labels.study
    if labels.trial is not None:
        found["risexp.trial"] = str(labels.trial)
    return found


def described_tags(spool: UploadState, labels: Labels) -> dict[str, str]:
    """Tags that say what is computed."""
    config = spool.config()
    found = {
        "risexp.version": __version__,
        "risexp.config_sha": spool.config_sha,
        "risexp.data_digest": data_digest(config),
        "mlflow.source.type": "LOCAL",
        "mlflow.source.name": "risexp train" if labels.trial is None else "risexp hpo",
        "mlflow.note.content": note_of(spool, labels),
        # Without it the page of a run shows no pictures by epoch.
        "mlflow.loggedImages": "True",
    }
    if labels.preset is not None:
        found["risexp.preset"] = labels.preset
    return found | {name: _short(value) for name, value in labels.tags.items()}


def attempt_tags(attempt: int, sources: Sequence[Source]) -> dict[str, str]:
    """Tags of an attempt that begins."""
    found = {"risexp.state": "running", "risexp.attempt": str(attempt)}
    if attempt > 1:
        found["risexp.reason"] = "resumed"
    if sources and sources[-1].commit is not None:
        commit = sources[-1].commit
        found |= {"risexp.git_commit": commit, "mlflow.source.git.commit": commit}
        found["risexp.git_dirty"] = "true" if sources[-1].dirty else "false"
    return found


def ending_tags(ending: RecordedOutcome | None) -> dict[str, str]:
    """Tags of how a run ended; None: without a word."""
    if ending is None:
        return {"risexp.state": INTERRUPTED, "risexp.reason": INTERRUPTED}
    return {"risexp.state": ending.status, "risexp.reason": _short(ending.reason)}


def params_of(config: RunConfig, labels: Labels) -> dict[str, str]:
    """The values that were searched; without a search, those unlike the preset's or defaults."""
    if labels.searched:
        found = {name: _short(value) for name, value in labels.searched.items()}
        return found | ({} if labels.trial is None else {"trial": str(labels.trial)})
    known = labels.preset in preset_names()
    base = load_config(preset=labels.preset).config if known else RunConfig()
    usual, found = base.canonical().flat(), config.canonical().flat()
    return {name: _short(value) for name, value in found.items() if value != usual[name]}


def data_digest(config: RunConfig) -> str:
    """The hash of all that scenes are drawn from: physics, and the law and seed of the data."""
    return config.sha("physics", "data")


def datasets_of(config: RunConfig) -> tuple[Dataset, ...]:
    """Training scenes and validation scenes: streams of one law that share none."""
    digest = data_digest(config)[:32]
    source = {"generator": "risexp", "seed": config.data.seed}
    sizes = {
        "training": {"scenes_per_epoch": config.training.scenes_per_epoch},
        "validation": {"scenes": config.validation.scenes},
    }
    return tuple(
        Dataset(f"{context} scenes", context, digest, {**source, "split": context}, sizes[context])
        for context in sizes
    )


def note_of(spool: UploadState, labels: Labels) -> str:
    """What a person reads on the run's page before it has ended."""
    base = labels.preset or "the defaults"
    lines = [
        *([labels.note, ""] if labels.note else []),
        f"Run `{spool.run}`, configured from {base}; params are what differs."
        if not labels.searched
        else f"Trial {labels.trial} of study `{labels.study}`; params are what was searched.",
        "",
        "- `risexp train --resume " + spool.run + "` goes on with it where it can go on;",
        "- `risexp eval " + spool.run + " --against nomp` puts it beside other methods;",
        f"- its folder is `mlruns/runs/{spool.run}` under the home it was started in.",
    ]
    return "\n".join(lines)


def final_note(
    spool: UploadState, labels: Labels, ending: RecordedOutcome, best: Row | None
) -> str:
    """The note, with how it ended and what its best epoch is worth."""
    told = [note_of(spool, labels), "", redacted(ending.sentence)]
    if best is not None:
        told += ["", f"Best epoch {best.step}:", "", *_beside(best.values)]
    return "\n".join(told)


def _beside(values: Mapping[str, float]) -> list[str]:
    rows = {
        "K accuracy": ("val/k_acc", "val/k_majority", "val/k_nomp", "val/k_reference"),
        "success": ("val/success_rate", None, "val/success_nomp", "val/success_reference"),
    }
    lines = ["| | network | chance | NOMP | reference |", "|---|---|---|---|---|"]
    for name, keys in rows.items():
        cells = [_cell(values, key) for key in keys]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def _cell(values: Mapping[str, float], key: str | None) -> str:
    if key is None:
        return f"{0.0:.3f}"
    return f"{values[key]:.3f}" if key in values else ""


def _short(value: object) -> str:
    text = redacted(str(value))
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
