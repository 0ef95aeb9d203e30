"""What `risexp hpo --audit` says of the trials that a search ended early."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from risexp.cli.output import note, say, table
from risexp.config.space import SearchSpace
from risexp.errors import InvalidInput

if TYPE_CHECKING:
    from risexp.app.audit import AuditDone
    from risexp.app.search import Searched
    from risexp.hpo.audits import Audited

AuditOption = Annotated[
    bool,
    typer.Option(
        "--audit", help="Train some of the trials that were ended early to their ends afterwards."
    ),
]
ShareOption = Annotated[
    float | None,
    typer.Option(
        "--audit-share",
        min=0.0,
        max=1.0,
        metavar="SHARE",
        help="How many of them; three if not given.",
    ),
]
_HEADINGS: Final = ("trial", "ended after", "k_loc then", "state now", "k_loc now", "against best")


def expect_auditable(space: SearchSpace, audit: bool, share: float | None) -> None:
    """A share is one of something, and what is audited is one study.

    Raises:
        InvalidInput: It is not.
    """
    if share is not None and not audit:
        raise InvalidInput(f"--audit-share {share:g} of nothing: give --audit, or leave it out")
    if share == 0.0:
        raise InvalidInput("--audit-share 0 audits nothing: give more, or leave --audit out")
    if audit and space.stages:
        raise InvalidInput(
            f"--audit: space {space.name} has stages, each of which is a study: search one of its "
            "own file, or leave it out"
        )


def audited(
    found: "Searched", means: Mapping[str, Any], share: float | None, *, quiet: bool
) -> "AuditDone | None":
    """The audit of a search that is over; None, and a sentence, before it is."""
    study = found.table.name
    if found.exit_code or not found.table.over:
        note(f"study {study} is not over: it is audited by the same command once it is")
        return None
    from rich.console import Console

    from risexp.app.audit import ToAudit, audit
    from risexp.app.study_view import StudyView

    with StudyView(Console(stderr=True, quiet=quiet, highlight=False)) as view:
        return audit(ToAudit(study=study, share=share, **means), view.show, view.say)


def say_audit(done: "AuditDone") -> None:
    """An audit as a table and what follows from it."""
    told = done.audit
    say("")
    if done.searched is None:
        say(f"audit: study {told.study} ended no trial early, so there is nothing to audit")
        return
    shown = done.searched.table
    table(_HEADINGS, [_cells(each, told.best) for each in told.trials])
    say("")
    say(
        f"audit: {len(told.ended)} of {told.saved.trials} trials that were ended early came to "
        f"their ends in study {shown.name}, {shown.epochs} epochs"
    )
    if told.regret is not None:
        by = f", by {told.regret:.3f} of k_loc at most" if told.better else ""
        say(f"audit: {told.better} of {len(told.ended)} would have been the best{by}")
    if not shown.over:
        say("the same command goes on with the audit")


def _cells(each: "Audited", best: float | None) -> list[object]:
    apart = None if each.value is None or best is None else each.value - best
    return [
        each.trial,
        each.epoch,
        _number(each.last),
        each.state,
        _number(each.value),
        "" if apart is None else f"{apart:+.3f}",
    ]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
