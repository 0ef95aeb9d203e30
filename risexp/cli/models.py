"""`risexp models`, `promote` and `rollback`: registered models and the promoted version."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from risexp.cli.options import AsJson, TrackingTo, computing, shared
from risexp.cli.output import answer, emit, note, progress_of, say, table
from risexp.errors import GateFailed

if TYPE_CHECKING:
    import torch

    from risexp.app.promotion.models import Model
    from risexp.app.promotion.result import PromotionResult
    from risexp.registry.model_registry import Version

app = typer.Typer(no_args_is_help=True, help="List registered models, and show their versions.")
Address = Annotated[
    str, typer.Argument(metavar="MODEL", help="NAME, NAME@ALIAS or NAME/3 for one version.")
]
_SHOWN = ("risexp.run", "risexp.success_rate", "risexp.k_acc", "risexp.promoted_by")


@app.command("list")
def list_(tracking: TrackingTo = None, json: AsJson = False) -> None:
    """Every model with its versions, the newest first."""
    from risexp.app.promotion.models import list_models

    models = list_models(tracking)
    if json:
        emit([model.as_json() for model in models])
    elif models:
        _table(models)
    else:
        say("there are no models: `risexp promote` makes one")


@app.command()
def show(model: Address, tracking: TrackingTo = None, json: AsJson = False) -> None:
    """The versions of a model; or the card and the tags of one version."""
    from risexp.app.promotion.models import Model, show_model, version_json

    shown = show_model(model, tracking)
    if json:
        emit(shown.as_json() if isinstance(shown, Model) else version_json(shown))
    elif isinstance(shown, Model):
        _table([shown])
    else:
        say(f"{shown.address} ({shown.state or 'no alias'})\n\n{shown.card}\n")
        table(["tag", "value"], sorted(shown.tags.items()))


def _table(models: Sequence["Model"]) -> None:
    rows = [_row(version) for model in models for version in model.versions]
    headings = ["model", "version", "state", "created (UTC)", "run", "success", "K accuracy", "by"]
    table(headings, rows)
    for model in models:
        for number in model.abandoned:
            note(
                f"version {number} of {model.name} was left pending by an interrupted promotion; "
                "nothing loads it, and the next promotion deletes it"
            )


def _row(version: "Version") -> list[str]:
    from risexp.app.promotion.models import created

    tags = (version.tags.get(key, "") for key in _SHOWN)
    return [version.name, str(version.number), version.state, created(version), *tags]


Study = Annotated[
    str | None, typer.Option(metavar="STUDY", help="Promote its best complete trial, by k_loc.")
]
Run = Annotated[
    str | None,
    typer.Option(metavar="RUN", help="Promote this run, by its name or the path of its folder."),
]
Alias = Annotated[str, typer.Option(metavar="ALIAS", help="Name by which others load the version.")]
Name = Annotated[str, typer.Option(metavar="NAME", help="Name of the model.")]
GatesNamed = Annotated[
    str, typer.Option(metavar="NAME|FILE", help="Gates to pass: shipped are default and smoke.")
]
Scenes = Annotated[
    int, typer.Option(min=50, metavar="N", help="Test scenes, drawn once and kept in the home.")
]
TestSet = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="A frozen set of the run's own law and the split test."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Judge, and change nothing.")]


@shared(computing)
def promote(
    device: "torch.device",
    study: Study = None,
    run: Run = None,
    alias: Alias = "champion",
    gates: GatesNamed = "default",
    dry_run: DryRun = False,
    scenes: Scenes = 5000,
    test_set: TestSet = None,
    name: Name = "ris-localizer",
    tracking: TrackingTo = None,
    json: AsJson = False,
) -> None:
    """Promote a run's network if it passes every gate beside the version that others load now.

    Candidate, champion and NOMP answer the same frozen test scenes, which no run has learned from.
    A gate that fails changes nothing, and exits with 3.
    """
    from risexp.app.promotion.promote import promote as promote_run
    from risexp.app.promotion.result import PromotionRequest

    request = PromotionRequest(study, run, name, alias, gates, scenes, test_set, dry_run, tracking)
    result = promote_run(request, device, progress_of)
    for sentence in result.notes:
        note(sentence)
    answer(result.as_json, lambda: _say_promoted(result), json=json)
    if result.failed:
        names = ", ".join(verdict.gate for verdict in result.failed)
        count = "a gate" if len(result.failed) == 1 else f"{len(result.failed)} gates"
        raise GateFailed(f"{count} failed, and nothing was changed: {names}")


def rollback(
    alias: Alias = "champion",
    name: Name = "ris-localizer",
    tracking: TrackingTo = None,
    json: AsJson = False,
) -> None:
    """Give an alias back to the version that had it before the last promotion."""
    from risexp.app.promotion.promote import roll_back

    result = roll_back(name, alias, tracking)
    if json:
        emit(result.as_json())
        return
    say(
        f"version {result.version.number} of {name} is {alias} again, in place of version "
        f"{result.was.number}"
    )


def _say_promoted(result: "PromotionResult") -> None:
    from risexp.app.promotion.result import gate_rows, score_rows

    evidence, request, candidate = result.evidence, result.request, result.candidate
    say(
        f"run {candidate.run}, epoch {candidate.bundle.epoch}, beside {result.champion_name} of "
        f"{request.name}, on {evidence.scenes} test scenes ({result.test_set.folder})"
    )
    say("")
    table(["", "success", "K accuracy", "ECE", "ms/scene"], score_rows(evidence))
    say(f"\nGates {evidence.gates.name}: {evidence.gates.about}")
    table(["gate", "verdict", "found", "needed"], gate_rows(result.verdicts))
    if result.version is not None:
        address = f"models:/{request.name}@{request.alias}"
        say(f"\nversion {result.version.number} of {request.name} is {request.alias}: {address}")
    elif not result.failed:
        say(f"\nevery gate passes; --dry-run changed nothing of {request.name}")
