"""`risexp reproduce`: a run once more, from its record alone."""

from typing import TYPE_CHECKING, Annotated

import typer

from risexp.cli.options import AsJson, TrackingTo
from risexp.cli.output import emit, note, say, table
from risexp.cli.train import leave
from risexp.errors import VerificationFailed

if TYPE_CHECKING:
    from risexp.app.run.reproduce import Reproduced

Recorded = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        help="A run, by its name or by the path of its folder; or by its name or MLflow's id of "
        "it in a store.",
    ),
]
From = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="STORE",
        help="Take the record from this store (embedded, or an address) and not from the run's "
        "folder. Without it a store is asked only where there is no folder.",
    ),
]
Within = Annotated[
    float,
    typer.Option(
        min=0.0,
        metavar="K_LOC",
        help="How far val/k_loc of any epoch may be from the record's; 0: not by a bit.",
    ),
]
_SCORES = ("val/k_loc", "val/k_acc", "val/success_rate", "loss/total")


def reproduce(
    run: Recorded,
    from_: From = None,
    within: Within = 0.0,
    tracking: TrackingTo = None,
    json: AsJson = False,
) -> None:
    """Train a run again from its record alone, and say whether the result is the same.

    The new run has a folder and a record of its own, on the device and with the number of threads
    of the old one, and goes as far as that one went. Every number is compared to the bit; where
    one differs, so is what the two were computed with, and the exit code is 4.
    """
    from rich.console import Console

    from risexp.app.run import reproduce as app

    found = app.recalled(run, from_)
    note(f"record: {found.place}, {found.epochs} epochs, {len(found.values)} numbers that repeat")
    done = app.reproduce(found, Console(stderr=True, quiet=json, highlight=False), tracking)
    if done.finished.outcome.resumable:
        note(f"{done.finished.folder.run_id} did not come to its end: nothing is compared")
        leave(done.finished)
    if json:
        emit(done.as_json())
    else:
        _say(done)
    near = within > 0.0 and done.apart("val/k_loc") <= within
    if not done.same and not near:
        raise VerificationFailed(_verdict(done))


def _say(done: "Reproduced") -> None:
    run, again = done.recall.run, done.finished.folder.run_id
    if done.changed:
        say("computed with something else:")
        rows = [[name, before, after] for name, (before, after) in done.changed.items()]
        table(["", "then", "again"], rows)
    if done.same:
        say(
            f"{again} is {run} again: all {done.compared} numbers of {done.recall.epochs} epochs "
            "are the same to the bit"
        )
        return
    first = done.differences[0]
    say(f"first difference: {first.key} of epoch {first.epoch}, {first.then!r} then, {first.now!r}")
    say("largest distance over the epochs:")
    table(["", "apart by"], [[key, f"{done.apart(key):.3g}"] for key in _SCORES])


def _verdict(done: "Reproduced") -> str:
    return (
        f"{done.finished.folder.run_id} is not {done.recall.run} again: {len(done.differences)} "
        f"of {done.compared} numbers differ from epoch {done.differences[0].epoch} on, val/k_loc "
        f"by {done.apart('val/k_loc'):.3g} at most"
    )
