"""`risexp promote` and `rollback`: which version others load."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from risexp.cli.options import AsJson, Device, Threads, TrackingTo
from risexp.cli.output import emit, note, say, table
from risexp.cli.progress import progress_of
from risexp.errors import GateFailed

if TYPE_CHECKING:
    from risexp.app.promotion.promote import PromotionResult

Study = Annotated[
    str | None, typer.Option(metavar="STUDY", help="Promote its best complete trial, by k_loc.")
]
Run = Annotated[
    str | None,
    typer.Option(metavar="RUN", help="Promote this run, by its name or the path of its folder."),
]
Alias = Annotated[str, typer.Option(metavar="ALIAS", help="What others load it by.")]
Name = Annotated[str, typer.Option(metavar="NAME", help="Of the model.")]
GatesNamed = Annotated[
    str, typer.Option(metavar="NAME|FILE", help="What has to hold: shipped are default and smoke.")
]
Scenes = Annotated[
    int, typer.Option(min=50, metavar="N", help="Test scenes, drawn once and kept in the home.")
]
TestSet = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="A frozen set of the run's own law and the split test."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Judge, and change nothing.")]


def promote(
    study: Study = None,
    run: Run = None,
    alias: Alias = "champion",
    gates: GatesNamed = "default",
    dry_run: DryRun = False,
    scenes: Scenes = 5000,
    test_set: TestSet = None,
    name: Name = "ris-localizer",
    device: Device = "auto",
    threads: Threads = 1,
    tracking: TrackingTo = None,
    json: AsJson = False,
) -> None:
    """Let others load a run's network, if it passes every gate beside the one they load now.

    Candidate, champion and NOMP answer the same frozen test scenes, which no run has learned from.
    A gate that fails changes nothing, and exits with 3.
    """
    import torch

    from risexp.app.promotion.promote import PromotionRequest
    from risexp.app.promotion.promote import promote as judge
    from risexp.app.run.devices import device_named

    torch.set_num_threads(threads)
    wanted = PromotionRequest(study, run, name, alias, gates, scenes, test_set, dry_run, tracking)
    found = judge(wanted, device_named(device), progress_of)
    for sentence in found.said:
        note(sentence)
    if json:
        emit(found.as_json())
    else:
        _tell(found)
    if found.failed:
        names = ", ".join(each.gate for each in found.failed)
        many = "a gate" if len(found.failed) == 1 else f"{len(found.failed)} gates"
        raise GateFailed(f"{many} failed, and nothing was changed: {names}")


def rollback(
    alias: Alias = "champion",
    name: Name = "ris-localizer",
    tracking: TrackingTo = None,
    json: AsJson = False,
) -> None:
    """Let an alias stand again for the version it stood for before the last promotion."""
    from risexp.app.promotion.rollback import roll_back

    found = roll_back(name, alias, tracking)
    if json:
        emit(found.as_json())
        return
    say(
        f"version {found.version.number} of {name} is {alias} again; version {found.was.number} "
        "was it"
    )


def _tell(found: "PromotionResult") -> None:
    from risexp.registry.card import gate_rows, score_rows

    evidence, wanted = found.evidence, found.wanted
    origin = found.candidate.origin
    beside = "no champion" if found.champion is None else f"version {found.champion.number}"
    say(
        f"run {origin.run}, epoch {origin.epoch}, beside {beside} of {wanted.name}, on "
        f"{evidence.scenes} test scenes ({found.sealed.folder})"
    )
    say("")
    table(["", "success", "K accuracy", "ECE", "ms/scene"], score_rows(evidence))
    say(f"\nGates {found.gates.name}: {found.gates.about}")
    table(["gate", "verdict", "found", "needed"], gate_rows(found.verdicts))
    if found.version is not None:
        address = f"models:/{wanted.name}@{wanted.alias}"
        say(f"\nversion {found.version.number} of {wanted.name} is {wanted.alias}: {address}")
    elif not found.failed:
        say(f"\nevery gate passes; --dry-run changed nothing of {wanted.name}")
