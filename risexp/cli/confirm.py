"""`risexp confirm`: a study's best trials at full fidelity, under several seeds."""

from typing import TYPE_CHECKING, Annotated, Final

import typer

from risexp.cli.machines import Gpus, PerGpu, Timeout, TrialTimeout, Workers, crew, times
from risexp.cli.options import AsJson, Device, Threads, TrackingTo
from risexp.cli.output import emit, say, table
from risexp.cli.progress import viewed
from risexp.cli.trials import number, say_unsent, study_summary
from risexp.errors import VerificationFailed

if TYPE_CHECKING:
    from risexp.app.search.confirm import ConfirmRequest, ConfirmResult
    from risexp.hpo.studies.confirmation import ConfirmedPoint

StudyOption = Annotated[
    str, typer.Option(metavar="STUDY", help="One that has been searched; its trials are confirmed.")
]
Top = Annotated[int, typer.Option(min=1, metavar="N", help="Trials beside the base.")]
Seeds = Annotated[int, typer.Option(min=2, metavar="N", help="Training seeds of each.")]
Epochs = Annotated[
    int | None,
    typer.Option(
        min=1, metavar="N", help="Of each; by default the preset's, and no fewer than the search's."
    ),
]
Name = Annotated[
    str | None, typer.Option(metavar="NAME", help="Of the new study; by default STUDY-confirm.")
]
_HEADINGS: Final = (
    "trial",
    "k_loc before",
    "rank",
    "k_loc now",
    "min to max",
    "seeds",
    "against base",
    "95 % interval",
    "rank now",
)


def confirm(
    study: StudyOption,
    top: Top = 5,
    seeds: Seeds = 3,
    epochs: Epochs = None,
    name: Name = None,
    workers: Workers = 0,
    gpus: Gpus = None,
    per_gpu: PerGpu = 1,
    timeout: Timeout = None,
    trial_timeout: TrialTimeout = None,
    device: Device = "auto",
    threads: Threads = 1,
    tracking: TrackingTo = None,
    json: AsJson = False,
) -> None:
    """Train a study's best trials and its base to their ends under several seeds, side by side.

    They become trials of a study of their own, which the same command goes on with. No seed is one
    that the search has used, and every trial has the same ones; so it is with the scenes, by the
    one data.seed of them all. The interval is Student's, of the differences seed by seed.
    """
    means = crew(workers, gpus, per_gpu, device, threads, tracking)
    means |= times(timeout, trial_timeout)
    from risexp.app.search.confirm import ConfirmRequest

    wanted = ConfirmRequest(
        study=study,
        name=name or f"{study}-confirm",
        top=top,
        seeds=seeds,
        epochs=epochs,
        **means,
    )
    found = _confirmed(wanted, quiet=json)
    if json:
        emit(found.as_json())
    else:
        say_confirmed(found)
    if found.searched.pruner_fault is not None:
        raise VerificationFailed(found.searched.pruner_fault)
    if found.searched.exit_code:
        raise typer.Exit(found.searched.exit_code)


def _confirmed(wanted: "ConfirmRequest", *, quiet: bool) -> "ConfirmResult":
    from risexp.app.search.confirm import confirm

    with viewed(quiet=quiet) as view:
        return confirm(wanted, view.show, view.say)


def say_confirmed(found: "ConfirmResult") -> None:
    """A confirmation as a table and what follows from it."""
    told, shown = found.confirmation, found.searched.table
    table(_HEADINGS, [_cells(found, each) for each in told.candidates])
    say("")
    say(study_summary(shown))
    say(_agreement(found))
    say_unsent(found.searched.unsent)
    if not shown.over:
        say("the same command goes on")
        return
    best = told.best
    if best is None:
        say("no candidate came to its end under every seed: see risexp study show " + shown.name)
        return
    named = "the base" if best is told.base else f"trial {best.trial} of {found.source}"
    say(f"best: {named}, k_loc {number(best.mean)} over {len(told.seeds)} seeds")
    say("look:  risexp ui")
    say(f"next:  risexp eval {found.run_of(best)} --against nomp")
    say(f"or:    risexp promote --run {found.run_of(best)}")


def _cells(found: "ConfirmResult", each: "ConfirmedPoint") -> list[object]:
    apart, ends = each.difference, each.range
    interval = None if apart is None else apart.interval
    return [
        _named(found, each),
        number(each.before),
        each.rank_before or "",
        number(each.mean),
        "" if ends is None else f"{ends[0]:.3f} to {ends[1]:.3f}",
        f"{len(each.scores)} of {len(found.confirmation.seeds)}",
        "" if apart is None else f"{apart.mean:+.3f}",
        "" if interval is None else f"{interval[0]:+.3f} to {interval[1]:+.3f}",
        each.rank or "",
    ]


def _named(found: "ConfirmResult", each: "ConfirmedPoint") -> str:
    return "base" if each is found.confirmation.base else str(each.trial)


def _agreement(found: "ConfirmResult") -> str:
    """How far the search's order held, with the number of trials that this rests on."""
    told = found.confirmation
    if told.agreement is None:
        return (
            f"rank correlation of k_loc before and now: none, {told.pairs} of the trials beside "
            "the base have both and it takes three that differ"
        )
    return (
        f"rank correlation of k_loc before and now: {told.agreement:+.2f}, over {told.pairs} "
        "trials beside the base"
    )
