"""`risexp study` and `risexp watch`: what became of searches, and what becomes of one."""

from dataclasses import asdict
from typing import Annotated

import typer

from risexp.cli.options import AsJson
from risexp.cli.output import emit, note, say, table
from risexp.cli.progress import viewed
from risexp.cli.trials import beside_base, best_trial, study_rows, study_summary, trial_of

app = typer.Typer(no_args_is_help=True, help="List, show and stop studies.")

StudyName = Annotated[str, typer.Argument(metavar="STUDY", help="A study, by its name.")]


@app.command("list")
def list_(json: AsJson = False) -> None:
    """List the studies of this home, or of the store that RISEXP_STORE names."""
    from risexp.app.search.studies import list_studies

    found, others = list_studies()
    for sentence in others:
        note(sentence)
    if json:
        emit([each.as_json() for each in found])
        return
    table(
        ["study", "trials", "complete", "pruned", "failed", "running", "waiting", "best k_loc"],
        [
            (
                each.name,
                each.wanted,
                *(
                    each.count(word)
                    for word in ("complete", "pruned", "failed", "running", "waiting")
                ),
                "" if each.lowest is None else f"{each.lowest:.3f}",
            )
            for each in found
        ],
    )


@app.command("show")
def show(
    name: StudyName,
    trial: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="Show this one, and where it differs from trial 0."),
    ] = None,
    json: AsJson = False,
) -> None:
    """Show every trial of a study, and what its best one has that the base has not."""
    from risexp.app.search.studies import show_study

    found = show_study(name)
    one = None if trial is None else trial_of(found, trial)
    if json:
        emit(found.as_json() if one is None else asdict(one))
        return
    if one is not None:
        study_rows([one])
        beside_base(found, one)
        return
    study_rows(found.trials)
    say("")
    say(study_summary(found))
    best_trial(found)


@app.command("stop")
def stop(name: StudyName) -> None:
    """End a study: its workers give their trials back after the epoch; `risexp hpo` goes on."""
    from risexp.app.search.studies import stop_study

    left = stop_study(name).left
    say(f"study {name} ends with the epochs that run; {len(left)} trials are left")


def watch(name: StudyName, json: AsJson = False) -> None:
    """Watch a study from another terminal until nothing of it runs; --json shows its end."""
    from risexp.app.search.studies import watch_study

    with viewed(quiet=json) as view:
        found = watch_study(name, view.show)
    if json:
        emit(found.as_json())
        return
    say(study_summary(found))
