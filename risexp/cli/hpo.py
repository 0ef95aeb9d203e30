"""`risexp hpo` and `risexp worker`: search a space, and add a worker to a search."""

from dataclasses import dataclass, replace
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from risexp.cli.options import (
    AsJson,
    Device,
    Overrides,
    Threads,
    TrackingTo,
    complete_space,
    resources,
    score_bound,
    shared,
)
from risexp.cli.output import answer, emit, note
from risexp.cli.study_output import say_audit, say_search, say_stages, viewed
from risexp.errors import InvalidInput, RisexpError, SpaceInvalid, VerificationFailed

if TYPE_CHECKING:
    from risexp.app.search.derived import AuditRequest, AuditResult
    from risexp.app.search.search import SearchRequest, SearchResult
    from risexp.space.spec import SearchSpace

SpaceOption = Annotated[
    str, typer.Option(metavar="SPACE", autocompletion=complete_space, help="The space to search.")
]
StudyOption = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="The study's name; the space's where none is given."),
]
Trials = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Finished trials in total; with stages, of each stage."),
]
Until = Annotated[
    str | None, typer.Option(metavar="'k_loc<4'", help="End once a trial is as good as this.")
]
Epochs = Annotated[int | None, typer.Option(min=1, metavar="N", help="Of each trial.")]
PatienceOption = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Epochs without a better one.")
]
Sources = Annotated[
    list[str] | None,
    typer.Option(
        "--from",
        metavar="STUDY",
        help="A study whose best trials come first, as far as they fit; may be given again.",
    ),
]
Points = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="How many of each --from; 5 by default.")
]
Unchecked = Annotated[
    bool,
    typer.Option("--unchecked", help="Begin though preflight says it cannot learn."),
]
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
_POINTS: Final = 5


@shared(resources)
def search(
    means: dict[str, Any],
    space: SpaceOption,
    study: StudyOption = None,
    trials: Trials = None,
    until: Until = None,
    epochs: Epochs = None,
    patience: PatienceOption = None,
    from_: Sources = None,
    points: Points = None,
    set_: Overrides = None,
    unchecked: Unchecked = False,
    audit: AuditOption = False,
    audit_share: ShareOption = None,
    json: AsJson = False,
) -> None:
    """Search a space: trial 0 is its base, the others what its sampler proposes.

    With --from, the best trials of another study come right after trial 0. With --audit, some of
    the trials that were ended early are trained to their ends afterwards, in a study STUDY-audit:
    in what is left of --timeout, and without --trial-timeout.

    The same command goes on with a study, however it ended; --trials is the total. After the first
    Ctrl-C workers end with their batches and their trials wait, after the second they stop at once.
    Of a space with stages each is a study, STUDY-STAGE, that begins with what was kept before it.
    """
    loaded = _sound(space)
    _check_options(loaded, from_ or [], points, audit=audit, share=audit_share)
    from risexp.app.search.search import SearchRequest

    fields: dict[str, Any] = {"overrides": set_ or (), "epochs": epochs, "patience": patience}
    fields |= {"sources": from_ or (), "points": points or _POINTS, "unchecked": unchecked}
    fields |= {"until": score_bound(until), **means}
    request = SearchRequest(loaded, study or loaded.name, trials or loaded.trials, **fields)
    if loaded.stages:
        _search_stages(request, json)
        return
    _search(request, _audit_request(request.study, audit_share, means) if audit else None, json)


def worker(
    study: Annotated[str, typer.Option(metavar="NAME", help="The study to work on.")],
    device: Device = "auto",
    threads: Threads = 1,
    tracking: TrackingTo = None,
    own_home: Annotated[
        bool,
        typer.Option("--own-home", help="Work though this home is not the one of the study."),
    ] = False,
    crew: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Work on a study until no trial is left; any number of workers may, on any machine.

    RISEXP_STORE names the store where it is not this home's own, and RISEXP_HOME the home, which
    all workers of a study share: it holds the checkpoints. With --own-home a trial of another home
    begins anew.
    """
    from risexp.app.run.machine import Machine, device_named
    from risexp.app.search.worker import work

    machine = Machine(device_named(device), threads)
    code = work(study, machine, tracking, crew, note, own_home=own_home)
    if code:
        raise typer.Exit(code)


def _sound(name: str) -> "SearchSpace":
    """A space without problems."""
    from risexp.space.check import check_space
    from risexp.space.files import load_space

    space = load_space(name)
    report = check_space(space)
    if not report.sound:
        raise SpaceInvalid(f"space {space.name}: {report.problems[0]}")
    return space


def _check_options(
    space: "SearchSpace",
    sources: list[str],
    points: int | None,
    *,
    audit: bool,
    share: float | None,
) -> None:
    """Check options that need each other, or a space without stages."""
    if points is not None and not sources:
        raise InvalidInput(
            f"--points {points} of nothing: name a study with --from, or leave it out"
        )
    if space.stages and sources:
        raise InvalidInput(
            f"--from {sources[0]}: space {space.name} has stages, which begin with what was kept "
            "before them: leave it out"
        )
    if share is not None and not audit:
        raise InvalidInput(f"--audit-share {share:g} of nothing: give --audit, or leave it out")
    if share == 0.0:
        raise InvalidInput("--audit-share 0 audits nothing: give more, or leave --audit out")
    if audit and space.stages:
        raise InvalidInput(
            f"--audit: space {space.name} has stages, each of which is a study: leave it out, or "
            "write what a stage varies under vary in a space of its own and search that"
        )


def _audit_request(study: str, share: float | None, means: dict[str, Any]) -> "AuditRequest":
    """The audit of a search that is possible once the search has ended."""
    from risexp.app.search.derived import AuditRequest, check_auditable

    request = AuditRequest(study=study, share=share, **{**means, "trial_timeout_s": None})
    check_auditable(request)
    return request


def _search_stages(request: "SearchRequest", json: bool) -> None:
    from risexp.app.search.stages import search_stages

    with viewed(quiet=json) as view:
        result = search_stages(request, view)
    answer(result.as_json, lambda: say_stages(result), json=json)
    if result.fault is not None:
        raise VerificationFailed(result.fault)
    if result.exit_code:
        raise typer.Exit(result.exit_code)


def _search(request: "SearchRequest", check: "AuditRequest | None", json: bool) -> None:
    """Search, print the result, audit it if asked, and leave with the exit code."""
    from risexp.app.search.search import search

    began = monotonic()
    with viewed(quiet=json) as view:
        result = search(request, view)
    if not json:
        say_search(result)
    audit, document = _Audit(), result.as_json()
    if check is not None:
        audit = _audit(result, check, request.until, monotonic() - began, quiet=json)
        document["audit"] = None if audit.done is None else audit.done.as_json()
        document["said"] += [] if audit.missing is None else [audit.missing]
    if json:
        emit(document)
    elif audit.done is not None:
        say_audit(audit.done)
    if result.pruner_fault is not None:
        raise VerificationFailed(result.pruner_fault)
    audit.check()
    if code := result.exit_code or (0 if audit.done is None else audit.done.exit_code):
        raise typer.Exit(code)


@dataclass(frozen=True)
class _Audit:
    """The audit after a search, or why there is none."""

    done: "AuditResult | None" = None
    missing: str | None = None
    """Why there is no audit, in a sentence."""
    error: Exception | None = None
    """The error that ended it."""

    def check(self) -> None:
        """Raise what is wrong with the audit."""
        if self.error is not None:
            raise self.error
        study = None if self.done is None else self.done.searched
        if study is not None and study.pruner_fault is not None:
            raise VerificationFailed(f"study {study.table.name}: {study.pruner_fault}")


def _audit(
    result: "SearchResult",
    check: "AuditRequest",
    until: float | None,
    spent_s: float,
    *,
    quiet: bool,
) -> _Audit:
    """Audit a search that has come to its end, in the time that it left."""
    from risexp.app.search.derived import audit, is_auditable

    if not is_auditable(result, until):
        missing = f"study {check.study} is not over: it is audited by the same command once it is"
        note(missing)
        return _Audit(missing=missing)
    left_s = None if check.timeout_s is None else max(check.timeout_s - spent_s, 0.0)
    try:
        with viewed(quiet=quiet) as view:
            return _Audit(audit(replace(check, timeout_s=left_s), view))
    except (RisexpError, OSError) as error:
        # The result of the search is still to be printed, and its document is to be one.
        return _Audit(missing=f"the audit failed: {error}", error=error)
