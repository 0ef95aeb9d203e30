"""`risexp reproduce`: train a run again from its record, and compare."""

from typing import TYPE_CHECKING, Annotated

import typer

from risexp.cli.options import AsJson, TrackingTo
from risexp.cli.output import answer, note, say, table
from risexp.cli.train import leave
from risexp.errors import VerificationFailed

if TYPE_CHECKING:
    from risexp.app.run.reproduce import Reproduced

Recorded = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        help="Name or folder of a run; or its name or MLflow's id in a store.",
    ),
]
From = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="STORE",
        help="Read the record from this store (embedded, or an address) instead of the run's "
        "folder. Without it a store is read only if there is no folder.",
    ),
]
Within = Annotated[
    float,
    typer.Option(
        min=0.0,
        metavar="K_LOC",
        help="Tolerance of val/k_loc in every epoch; 0: equal to the bit.",
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
    """Train a run again from its record, and compare the numbers.

    The new run has its own folder and record. It uses the device and the number of threads of the
    old run, and trains as many epochs. Every number is compared to the bit; if one differs, the
    environments are compared, too, and the exit code is 4.
    """
    from rich.console import Console

    from risexp.app.run import reproduce as app

    record = app.recalled(run, from_)
    values = len(record.values)
    note(f"record: {record.place}, {record.epochs} epochs, {values} numbers that repeat")
    done = app.reproduce(record, Console(stderr=True, quiet=json, highlight=False), tracking)
    if done.finished.outcome.resumable:
        note(f"{done.finished.folder.run_id} was interrupted: nothing is compared")
        leave(done.finished)
    answer(done.as_json, lambda: _say(done), json=json)
    near = within > 0.0 and done.apart("val/k_loc") <= within
    if not done.same and not near:
        raise VerificationFailed(
            f"{done.finished.folder.run_id} is not {done.recall.run} again: "
            f"{len(done.differences)} of {done.compared} numbers differ from epoch "
            f"{done.differences[0].epoch} on, val/k_loc by {done.apart('val/k_loc'):.3g} at most"
        )


def _say(done: "Reproduced") -> None:
    run, again = done.recall.run, done.finished.folder.run_id
    if done.changed:
        say("the environments differ:")
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
