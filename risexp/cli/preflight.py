"""`risexp preflight`: the quick probes of a configuration."""

from typing import TYPE_CHECKING, Annotated

import typer

from risexp.cli.diagnose import deliver
from risexp.cli.options import AsJson, resolved, shared
from risexp.cli.output import note
from risexp.config.layers import Loaded

if TYPE_CHECKING:
    from risexp.diagnostics.preflight import Stage


@shared(resolved)
def preflight(
    loaded: Loaded,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Run the probes again, though the verdict is known.")
    ] = False,
    json: AsJson = False,
) -> None:
    """Run the quick probes of learning: oracle, litmus, overfit and k-head; exit code 4 on failure.

    The verdict is kept under mlruns/preflight until the configuration or the code changes.
    """
    from risexp.app.run import preflight as app

    verdict = app.preflight(loaded.config, fresh=fresh, tell=_tell)
    if verdict.remembered:
        note("remembered from an earlier preflight of this configuration and code")
    if verdict.unkept is not None:
        note(verdict.unkept)
    deliver(verdict.report, json, verdict.as_json())


def _tell(stage: "Stage") -> None:
    note(f"{stage.report.name}: {stage.report.verdict} after {stage.seconds:.1f} s")
