"""`risexp confirm`: train a study's best trials at full fidelity, under several seeds."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from risexp.cli.options import AsJson, resources, shared
from risexp.cli.output import answer, say, table
from risexp.cli.study_output import number, say_unsent, study_summary, viewed
from risexp.errors import VerificationFailed

if TYPE_CHECKING:
    from risexp.app.search.derived import ConfirmResult
    from risexp.hpo.studies.confirmation import Confirmation

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


@shared(resources)
def confirm(
    means: dict[str, Any],
    study: StudyOption,
    top: Top = 5,
    seeds: Seeds = 3,
    epochs: Epochs = None,
    name: Name = None,
    json: AsJson = False,
) -> None:
    """Train a study's best trials and its base to their ends under several seeds, side by side.

    They become trials of a study of their own, which the same command goes on with. No seed is one
    that the search has used, and every trial has the same ones; so it is with the scenes, by the
    one data.seed of them all. The interval is Student's, of the differences seed by seed.
    """
    from risexp.app.search.derived import ConfirmRequest
    from risexp.app.search.derived import confirm as confirm_study

    fields = {"top": top, "seeds": seeds, "epochs": epochs, **means}
    request = ConfirmRequest(study=study, name=name or f"{study}-confirm", **fields)
    with viewed(quiet=json) as view:
        result = confirm_study(request, view)
    answer(result.as_json, lambda: say_confirmed(result), json=json)
    if result.searched.pruner_fault is not None:
        raise VerificationFailed(result.searched.pruner_fault)
    if result.searched.exit_code:
        raise typer.Exit(result.searched.exit_code)


def say_confirmed(result: "ConfirmResult") -> None:
    """Print a confirmation as a table, and what to do next."""
    from risexp.hpo.studies.confirmation import CONFIRMED_HEADINGS

    confirmation, study = result.confirmation, result.searched.table
    table(CONFIRMED_HEADINGS, confirmation.cells())
    say("")
    say(study_summary(study))
    say(_agreement(confirmation))
    say_unsent(result.searched.unsent)
    if not study.over:
        say("the same command goes on")
        return
    best = confirmation.best
    if best is None:
        say("no candidate came to its end under every seed: see risexp study show " + study.name)
        return
    named = "the base" if best is confirmation.base else f"trial {best.trial} of {result.source}"
    say(f"best: {named}, k_loc {number(best.mean)} over {len(confirmation.seeds)} seeds")
    say("look:  risexp ui")
    say(f"next:  risexp eval {result.run_of(best)} --against nomp")
    say(f"or:    risexp promote --run {result.run_of(best)}")


def _agreement(confirmation: "Confirmation") -> str:
    """The rank correlation with the search, and the number of trials behind it."""
    if confirmation.agreement is None:
        return (
            f"rank correlation of k_loc before and now: none, {confirmation.pairs} of the trials "
            "beside the base have both and it takes three that differ"
        )
    return (
        f"rank correlation of k_loc before and now: {confirmation.agreement:+.2f}, over "
        f"{confirmation.pairs} trials beside the base"
    )
