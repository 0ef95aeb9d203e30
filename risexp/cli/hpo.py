"""`risexp hpo` and `risexp worker`: search a space, and lend a hand to a search."""

import re
from collections.abc import Sequence
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from risexp.cli.audit import (
    AuditOption,
    SearchEnd,
    ShareOption,
    audited,
    expect_auditable,
    say_audit,
    to_audit,
)
from risexp.cli.machines import Gpus, PerGpu, Timeout, TrialTimeout, Workers, crew, times
from risexp.cli.options import (
    AsJson,
    Device,
    Overrides,
    Threads,
    TrackingTo,
    complete_space,
)
from risexp.cli.output import emit, note, say
from risexp.cli.progress import viewed
from risexp.cli.stages import search_by_stages
from risexp.cli.trials import best_trial, run_of, say_unsent, study_rows, study_summary
from risexp.errors import InvalidInput, SpaceInvalid, VerificationFailed
from risexp.space.check import check_space
from risexp.space.files import load_space
from risexp.space.spec import SearchSpace

if TYPE_CHECKING:
    from risexp.app.search.audit import AuditRequest
    from risexp.app.search.search import SearchRequest, SearchResult

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
    bool, typer.Option("--unchecked", help="Begin though preflight says it cannot learn.")
]
_POINTS: Final = 5
_UNTIL = re.compile(r"k_loc\s*<\s*(-?\d+(?:\.\d+)?)")


def search(
    space: SpaceOption,
    study: StudyOption = None,
    trials: Trials = None,
    workers: Workers = 0,
    gpus: Gpus = None,
    per_gpu: PerGpu = 1,
    timeout: Timeout = None,
    trial_timeout: TrialTimeout = None,
    until: Until = None,
    epochs: Epochs = None,
    patience: PatienceOption = None,
    from_: Sources = None,
    points: Points = None,
    set_: Overrides = None,
    device: Device = "auto",
    threads: Threads = 1,
    tracking: TrackingTo = None,
    unchecked: Unchecked = False,
    audit: AuditOption = False,
    audit_share: ShareOption = None,
    json: AsJson = False,
) -> None:
    """Search a space: trial 0 is its base, the others what its sampler proposes.

    With --from, the best trials of another study come right after trial 0. With --audit, some of
    the trials that were ended early are trained to their ends afterwards, in a study STUDY-audit:
    in what is left of --timeout, and without --trial-timeout.

    The same command goes on with a study, whatever ended it; --trials is the total. After the first
    Ctrl-C workers end with their batches and their trials wait, after the second they stop at once.
    Of a space with stages each is a study, STUDY-STAGE, that begins with what was kept before it.
    """
    loaded = _sound(space)
    means = crew(workers, gpus, per_gpu, device, threads, tracking) | times(timeout, trial_timeout)
    more = _points(loaded, from_ or (), points) | {"unchecked": unchecked, "until": _bound(until)}
    more |= {"overrides": set_ or (), "epochs": epochs, "patience": patience}
    expect_auditable(loaded, audit, audit_share)
    from risexp.app.search.search import SearchRequest

    wanted = SearchRequest(loaded, study or loaded.name, trials or loaded.trials, **means, **more)
    if loaded.stages:
        search_by_stages(wanted, json)
        return
    _search(wanted, to_audit(wanted.study, audit_share, means) if audit else None, json)


def worker(
    study: Annotated[str, typer.Option(metavar="NAME", help="The study to work on.")],
    device: Device = "auto",
    threads: Threads = 1,
    tracking: TrackingTo = None,
    crew: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Work on a study until nothing is left of it; any number may, on any machine with its store.

    RISEXP_STORE names the store where it is not this home's own.
    """
    from risexp.app.run.machine import Machine, device_named
    from risexp.app.search.worker import WorkerArgs, work

    duty = WorkerArgs(study, Machine(device_named(device), threads), tracking, crew)
    code = work(duty, note)
    if code:
        raise typer.Exit(code)


def _sound(name: str) -> SearchSpace:
    """A space that every draw from is a run.

    Raises:
        SpaceInvalid: It is none.
    """
    space = load_space(name)
    report = check_space(space)
    if not report.sound:
        raise SpaceInvalid(f"space {space.name}: {report.problems[0]}")
    return space


def _search(wanted: "SearchRequest", check: "AuditRequest | None", json: bool) -> None:
    """Search, say what was found, audit it where that is asked for, and leave."""
    began = monotonic()
    found = _searched(wanted, quiet=json)
    if not json:
        _say(found)
    ending = None
    if check is not None:
        ending = audited(found, check, wanted.until, monotonic() - began, quiet=json)
    _deliver(found, ending, json)


def _searched(wanted: "SearchRequest", *, quiet: bool) -> "SearchResult":
    from risexp.app.search.search import search

    with viewed(quiet=quiet) as view:
        return search(wanted, view.show, view.say)


def _deliver(found: "SearchResult", ending: SearchEnd | None, json: bool) -> None:
    """Give the document or what the audit found, and leave with the exit code.

    Raises:
        VerificationFailed: The pruner was never told or asked.
        RisexpError: The audit failed.
        Exit: A signal ended it, or the study ended itself.
    """
    if json:
        emit(found.as_json() | ({} if ending is None else ending.as_json(found.said)))
    elif ending is not None and ending.done is not None:
        say_audit(ending.done)
    if found.pruner_fault is not None:
        raise VerificationFailed(found.pruner_fault)
    if ending is not None:
        ending.expect_sound()
    if code := found.exit_code or (0 if ending is None else ending.exit_code):
        raise typer.Exit(code)


def _say(found: "SearchResult") -> None:
    shown = found.table
    study_rows(shown.trials)
    say("")
    say(study_summary(shown))
    say(f"pruner: {found.heard}")
    if found.saved.trials:
        say(found.saved.sentence())
    say_unsent(found.unsent)
    best_trial(shown)
    if not shown.over:
        say("the same command goes on")
    elif shown.best is not None:
        say("look:  risexp ui")
        say(f"next:  risexp eval {run_of(shown, shown.best)} --against nomp")
        say(f"or:    risexp confirm --study {shown.name}")
        say(f"or:    risexp promote --study {shown.name}")


def _points(space: SearchSpace, sources: Sequence[str], points: int | None) -> dict[str, Any]:
    """Where points come from and how many, as `Wanted` takes them.

    Raises:
        InvalidInput: They come from nowhere, or into several studies.
    """
    if points is not None and not sources:
        raise InvalidInput(
            f"--points {points} of nothing: name a study with --from, or leave it out"
        )
    if space.stages and sources:
        raise InvalidInput(
            f"--from {sources[0]}: space {space.name} has stages, which begin with what was kept "
            "before them: leave it out"
        )
    return {"sources": sources, "points": points or _POINTS}


def _bound(text: str | None) -> float | None:
    if text is None:
        return None
    found = _UNTIL.fullmatch(text)
    if found is None:
        raise InvalidInput(f"--until {text}: give a bound of the score, such as 'k_loc<4'")
    return float(found[1])
