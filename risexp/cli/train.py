"""`risexp train`: train one run, or resume it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from risexp.cli.options import (
    AsJson,
    Device,
    Files,
    Overrides,
    Preset,
    Threads,
    TrackingTo,
    resolved,
)
from risexp.cli.output import answer, note, say, table
from risexp.errors import ConfigInvalid, TrainingAborted

if TYPE_CHECKING:
    from risexp.app.run.train import Finished

Resume = Annotated[
    str | None, typer.Option(metavar="RUN", help="Resume this run from its last epoch.")
]
TimeLimit = Annotated[
    float | None,
    typer.Option(min=0.0, metavar="MINUTES", help="Stop after the epoch that exceeds this time."),
]


def train(
    preset: Preset = None,
    config: Files = None,
    set_: Overrides = None,
    resume: Resume = None,
    device: Device = "auto",
    threads: Threads = 1,
    time_limit: TimeLimit = None,
    tracking: TrackingTo = None,
    json: AsJson = False,
) -> None:
    """Train a network on fresh scenes, and calibrate and keep its best epoch.

    Every epoch is validated with real localisation, beside chance, NOMP and the references of the
    same scenes. A guard ends a run that does not learn (exit code 4). After Ctrl-C or a signal
    --resume continues the run. It is recorded in MLflow during training; `risexp sync` uploads what
    a server missed.
    """
    if resume is not None and (preset or config or set_):
        raise ConfigInvalid(
            "--resume keeps the configuration: leave out --preset, --config and --set"
        )
    loaded = None if resume is not None else resolved(preset, config, set_)
    from rich.console import Console

    from risexp.app.run import train as app
    from risexp.app.run.machine import Machine, device_named
    from risexp.runs.spec import Labels
    from risexp.tracking.uploader_process import tracking_of

    track = tracking_of(tracking, Labels(preset=preset))
    seconds = None if time_limit is None else 60.0 * time_limit
    machine = Machine(device_named(device), threads, seconds)
    console = Console(stderr=True, quiet=json, highlight=False)
    if loaded is None:
        finished = app.resume(str(resume), machine, console, track)
    else:
        finished = app.train(loaded.config, machine, console, track)
    answer(lambda: _document(finished), lambda: _say(finished), json=json)
    leave(finished)


def _say(finished: "Finished") -> None:
    for sentence in finished.damaged:
        note(sentence)
    say(f"run {finished.folder.run_id}: {finished.outcome.sentence}")
    if finished.best is not None:
        scores = finished.best.scores
        say(f"best epoch {finished.best.epoch}, on its {scores['scenes']:.0f} validation scenes:")
        rows = [
            ("K accuracy", *_rates(scores, "k_acc", "k_majority", "k_nomp", "k_reference")),
            ("success", *_rates(scores, "success_rate", None, "success_nomp", "success_reference")),
        ]
        table(["", "network", "chance", "nomp", "reference"], rows)
    if finished.calibration is not None:
        fitted = finished.calibration
        say(
            f"count calibrated on {fitted.scenes} scenes: temperature {fitted.temperature:.3f}, "
            f"calibration error {fitted.ece_before:.3f} before and {fitted.ece_after:.3f} after"
        )
    if finished.outcome.resumable:
        say(f"resume: risexp train --resume {finished.folder.run_id}")
    elif finished.best is not None:
        say(f"next: risexp eval {finished.folder.run_id} --against nomp")


def _rates(scores: Mapping[str, float], *names: str | None) -> list[str]:
    """Formatted scores; chance locates no source."""
    return [f"{0.0 if name is None else scores[name]:.3f}" for name in names]


def _document(finished: "Finished") -> dict[str, object]:
    from risexp.tracking.upload_state import recorded_as

    best, fitted = finished.best, finished.calibration
    return {
        "run": finished.folder.run_id,
        "folder": str(finished.folder.path),
        "mlflow_run": recorded_as(finished.folder.path),
        "config_sha": finished.folder.config_sha,
        "outcome": finished.outcome.as_json(),
        "best": None if best is None else {"epoch": best.epoch, "scores": dict(best.scores)},
        "calibration": None if fitted is None else dict(vars(fitted)),
        "damaged": list(finished.damaged),
    }


def leave(finished: "Finished") -> None:
    """Exit with the outcome's code.

    Raises:
        TrainingAborted: A guard ended the run.
        Exit: A signal did.
    """
    outcome = finished.outcome
    if outcome.status == "aborted":
        raise TrainingAborted(outcome.sentence, guard=outcome.reason)
    if outcome.exit_code:
        raise typer.Exit(outcome.exit_code)
