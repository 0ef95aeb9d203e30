"""`risexp doctor`: checks environment, stores and studies, and repairs on request."""

from typing import Annotated

import typer

from risexp.cli.options import AsJson
from risexp.cli.output import emit, note, say, table
from risexp.errors import EnvironmentFailed, VerificationFailed

Studies = Annotated[
    list[str] | None,
    typer.Option("--study", metavar="NAME", help="Only this study; may be repeated."),
]
Fix = Annotated[
    bool, typer.Option("--fix", help="First repair what can be repaired without losing anything.")
]


def doctor(study: Studies = None, fix: Fix = False, json: AsJson = False) -> None:
    """Check environment, stores and studies, and MLflow against the journals.

    Nothing changes without --fix. With it, trials whose worker is gone wait again, stores get the
    data that they miss, runs in MLflow get the right status, and missing tables are made. It
    deletes nothing, and a second call has nothing to do. A trial that runs without a lease waits
    again after two minutes: call it again then. The exit code is 4 if an invariant is violated, 1
    if the machine or a store fails, and 0 if there are only warnings.
    """
    from risexp.app.doctor.examine import examine

    diagnosis = examine(study or (), fix=fix, tell=note)
    if json:
        emit(diagnosis.as_json())
    else:
        for sentence in diagnosis.done:
            say(f"repaired: {sentence}")
        rows = [(each.verdict, each.area, each.what, each.sentence) for each in diagnosis.checks]
        table(["verdict", "area", "what", "sentence"], rows)
    if failed := diagnosis.failed:
        error = (
            VerificationFailed
            if diagnosis.exit_code == VerificationFailed.exit_code
            else EnvironmentFailed
        )
        more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        raise error(f"{failed[0].what}: {failed[0].sentence}{more}")
