"""What `risexp hpo --audit` says of the trials that a search ended early."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from risexp.cli.output import note, say, table
from risexp.cli.progress import viewed
from risexp.cli.trials import number, study_summary
from risexp.errors import InvalidInput, RisexpError, VerificationFailed
from risexp.space.spec import SearchSpace

if TYPE_CHECKING:
    from risexp.app.search.audit import AuditRequest, AuditResult
    from risexp.app.search.search import SearchResult
    from risexp.hpo.studies.audits import Audited

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
            f"--audit: space {space.name} has stages, each of which is a study: leave it out, or "
            "write what a stage varies under vary in a space of its own and search that"
        )


@dataclass(frozen=True)
class SearchEnd:
    """What became of the audit that a search was to end with."""

    done: "AuditResult | None" = None
    why: str | None = None
    """Why there is none, in a sentence."""
    error: Exception | None = None
    """What it failed of."""

    def as_json(self, said: Sequence[str]) -> dict[str, Any]:
        """As plain values beside those of the search.

        Args:
            said: Every sentence of the search.
        """
        return {
            "audit": None if self.done is None else self.done.as_json(),
            "said": [*said, *([] if self.why is None else [self.why])],
        }

    @property
    def exit_code(self) -> int:
        """Of the audit's study, where it has one."""
        return 0 if self.done is None else self.done.exit_code

    def expect_sound(self) -> None:
        """Fail as the audit failed.

        Raises:
            VerificationFailed: Its pruner was never told or asked.
        """
        if self.error is not None:
            raise self.error
        shown = None if self.done is None else self.done.searched
        if shown is not None and shown.pruner_fault is not None:
            raise VerificationFailed(f"study {shown.table.name}: {shown.pruner_fault}")


def to_audit(study: str, share: float | None, means: Mapping[str, Any]) -> "AuditRequest":
    """What is asked of an audit, once it is known that it can be made.

    Raises:
        RisexpError: It cannot.
    """
    from risexp.app.search.audit import AuditRequest, expect_possible

    wanted = AuditRequest(study=study, share=share, **{**means, "trial_timeout_s": None})
    expect_possible(wanted)
    return wanted


def audited(
    found: "SearchResult",
    wanted: "AuditRequest",
    until: float | None,
    spent_s: float,
    *,
    quiet: bool,
) -> SearchEnd:
    """The audit of a search that has come to its end; a sentence before it has.

    Args:
        found: The search.
        wanted: What is asked of its audit.
        until: Value of a complete trial below which the search was to end.
        spent_s: How long the search took, which its audit no longer has.
        quiet: Whether nothing of it is shown meanwhile.
    """
    from risexp.app.search.audit import audit, is_auditable

    if not is_auditable(found, until):
        why = f"study {wanted.study} is not over: it is audited by the same command once it is"
        note(why)
        return SearchEnd(why=why)
    left = None if wanted.timeout_s is None else max(wanted.timeout_s - spent_s, 0.0)
    try:
        with viewed(quiet=quiet) as view:
            return SearchEnd(audit(replace(wanted, timeout_s=left), view.show, view.say))
    except (RisexpError, OSError) as error:
        # What the search found is still to be said, and its document to be one.
        return SearchEnd(why=f"the audit failed: {error}", error=error)


def say_audit(done: "AuditResult") -> None:
    """An audit as a table and what follows from it."""
    told = done.audit
    say("")
    if done.searched is None:
        say(f"audit: study {told.study} ended no trial early, so there is nothing to audit")
        return
    shown = done.searched.table
    table(_HEADINGS, [_cells(each, told.best) for each in told.trials])
    say("")
    say(study_summary(shown))
    say(
        f"audit: {len(told.ended)} of {told.saved.trials} trials that were ended early came to "
        f"their ends in study {shown.name}"
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
        number(each.last),
        each.state,
        number(each.value),
        "" if apart is None else f"{apart:+.3f}",
    ]
