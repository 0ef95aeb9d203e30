"""`risexp sync`: what a tracking server missed."""

from typing import TYPE_CHECKING, Annotated

import typer

from risexp.cli.options import AsJson, TrackingTo
from risexp.cli.output import emit, say, table
from risexp.errors import EnvironmentFailed

if TYPE_CHECKING:
    from risexp.app.run.sync import Synced

Runs = Annotated[
    list[str] | None,
    typer.Argument(metavar="[RUN]...", help="By name or path; all that wait if none."),
]


def sync(runs: Runs = None, tracking: TrackingTo = None, json: AsJson = False) -> None:
    """Send what is in run folders and not in their stores: every value once, in order.

    A run whose training was killed is marked interrupted. Calling it again sends nothing twice.
    """
    from risexp.app.run.sync import sync as send

    found = send(runs or (), tracking)
    if json:
        emit([each.as_json() for each in found])
    else:
        _say(found)
    failed = [each for each in found if each.state == "failed"]
    if failed:
        rest = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        raise EnvironmentFailed(f"run {failed[0].run} was not sent: {failed[0].sentence}{rest}")


def _say(found: "list[Synced]") -> None:
    if not found:
        say("every record is where it belongs")
        return
    rows = [(each.run, each.state, each.lines, each.values, each.store) for each in found]
    table(["run", "state", "lines", "values", "store"], rows)
    for each in found:
        if each.state in ("busy", "elsewhere"):
            say(each.sentence)
