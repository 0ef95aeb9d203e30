"""`risexp study` and `risexp watch`: list, show, stop and watch studies."""

from dataclasses import asdict
from typing import Annotated

import typer

from risexp.cli.options import AsJson
from risexp.cli.output import emit, note, say, table
from risexp.cli.study_output import (
    beside_base,
    best_trial,
    number,
    study_rows,
    study_summary,
    trial_of,
    viewed,
)

app = typer.Typer(no_args_is_help=True, help="List, show and stop studies.")

StudyName = Annotated[str, typer.Argument(metavar="STUDY", help="A study, by its name.")]


@app.command("list")
def list_(json: AsJson = False) -> None:
    """List the studies of this home, or of the store that RISEXP_STORE names."""
    from risexp.app.search.studies import list_studies

    tables, faults = list_studies()
    for sentence in faults:
        note(sentence)
    if json:
        emit([study.as_json() for study in tables])
        return
    from risexp.hpo.studies.table import WORDS

    rows = [
        (study.name, study.wanted, *(study.count(word) for word in WORDS), number(study.lowest))
        for study in tables
    ]
    table(["study", "trials", *WORDS, "best k_loc"], rows)


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

    study = show_study(name)
    row = None if trial is None else trial_of(study, trial)
    if json:
        emit(study.as_json() if row is None else asdict(row))
        return
    if row is not None:
        study_rows([row])
        if row.ends:
            say(f"attempts: {', '.join(row.ends)}")
        beside_base(study, row)
        return
    study_rows(study.trials)
    say("")
    say(study_summary(study))
    for host, fault in study.waits.items():
        say(f"host {host} claims no trial: {fault}")
    best_trial(study)


@app.command("retry")
def retry(
    name: StudyName,
    trials: Annotated[list[int], typer.Argument(min=0, metavar="TRIAL...", help="Their numbers.")],
) -> None:
    """Let failed trials wait again, as they were: `risexp hpo` or a worker goes on with them."""
    from risexp.app.search.studies import retry_trials

    retry_trials(name, trials)
    numbers = ", ".join(str(number) for number in sorted({*trials}))
    say(f"study {name}: {numbers} wait again; `risexp hpo` with the same study goes on")


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
        study = watch_study(name, view)
    if json:
        emit(study.as_json())
        return
    say(study_summary(study))
