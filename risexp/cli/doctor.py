"""`risexp doctor`: whether everything is in order, and what to do where it is not."""

from typing import TYPE_CHECKING, Annotated

import typer

from risexp.cli.options import AsJson
from risexp.cli.output import emit, note, say, table
from risexp.errors import EnvironmentFailed, VerificationFailed

if TYPE_CHECKING:
    from risexp.app.doctor.check import Diagnosis

Studies = Annotated[
    list[str] | None,
    typer.Option("--study", metavar="NAME", help="Only this study; may be given again."),
]
Fix = Annotated[
    bool, typer.Option("--fix", help="Mend first what can be mended without losing anything.")
]


def doctor(study: Studies = None, fix: Fix = False, json: AsJson = False) -> None:
    """Check environment, stores and studies, and MLflow against the journals.

    Nothing is changed without --fix. That gives back trials whose worker is gone, sends what stores
    miss, sets statuses in MLflow, and makes missing tables; it deletes nothing, and a second call
    finds nothing to do. A trial that runs without a lease waits again after two minutes: call it
    again then. Exit code 4 where an invariant is violated, 1 where the machine or a store fails;
    warnings leave it 0.
    """
    from risexp.app.doctor.examine import examine

    found = examine(study or (), fix=fix, tell=note)
    if json:
        emit(found.as_json())
    else:
        _say(found)
    if found.failed:
        first = found.failed[0]
        kind = {each.exit_code: each for each in (EnvironmentFailed, VerificationFailed)}
        more = f" (and {len(found.failed) - 1} more)" if len(found.failed) > 1 else ""
        raise kind[found.exit_code](f"{first.what}: {first.sentence}{more}")


def _say(found: "Diagnosis") -> None:
    for sentence in found.done:
        say(f"mended: {sentence}")
    rows = [(each.verdict, each.area, each.what, each.sentence) for each in found.checks]
    table(["verdict", "area", "what", "said"], rows)
