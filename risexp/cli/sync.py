"""`risexp sync`: uploads what a tracking server missed."""

from typing import TYPE_CHECKING, Annotated

import typer

from risexp.cli.options import AsJson, TrackingTo
from risexp.cli.output import emit, say, table
from risexp.errors import EnvironmentFailed

if TYPE_CHECKING:
    from risexp.app.run.sync import Synced

Runs = Annotated[
    list[str] | None,
    typer.Argument(metavar="[RUN]...", help="Runs by name or path; none: all with unsent data."),
]


def sync(runs: Runs = None, tracking: TrackingTo = None, json: AsJson = False) -> None:
    """Send what is in run folders and not yet in their stores: each value once, in order.

    A run whose training was killed is marked interrupted. Calling it again sends nothing twice.
    """
    from risexp.app.run.sync import sync as send

    results = send(runs or (), tracking)
    if json:
        emit([result.as_json() for result in results])
    else:
        _say(results)
    failed = [result for result in results if result.state == "failed"]
    if failed:
        rest = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        raise EnvironmentFailed(f"run {failed[0].run} was not sent: {failed[0].sentence}{rest}")


def _say(results: "list[Synced]") -> None:
    if not results:
        say("every record is where it belongs")
        return
    rows = [(one.run, one.state, one.lines, one.values, one.store) for one in results]
    table(["run", "state", "lines", "values", "store"], rows)
    for one in results:
        if one.state in ("busy", "elsewhere"):
            say(one.sentence)
