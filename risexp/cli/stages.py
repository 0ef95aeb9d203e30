"""A search by stages on the command line: its table, and what to train with what was kept."""

import shlex
from typing import TYPE_CHECKING

import typer

from risexp.cli.output import emit, say, table
from risexp.cli.progress import viewed
from risexp.errors import VerificationFailed

if TYPE_CHECKING:
    from risexp.app.search.search import SearchRequest
    from risexp.app.search.stages import StageRow, StagesResult

_SCORES = ("k_loc", "k_acc", "success_rate")


def search_by_stages(wanted: "SearchRequest", json: bool) -> None:
    """Search the stages of a space, say what became of each, and leave with the exit code.

    Raises:
        VerificationFailed: A stage has no verdict, and going on would not give it one.
        Exit: A signal ended it.
    """
    from risexp.app.search.stages import search_stages

    with viewed(quiet=json) as view:
        found = search_stages(wanted, view.show, view.say)
    if json:
        emit(found.as_json())
    else:
        _say(found)
    if found.fault is not None:
        raise VerificationFailed(found.fault)
    if found.exit_code:
        raise typer.Exit(found.exit_code)


def _say(found: "StagesResult") -> None:
    headings = ["stage", "trials", "best", *(f"{name} by" for name in _SCORES), "verdict"]
    table(headings, [_cells(row) for row in found.rows])
    say("")
    kept = " ".join(f"--set {shlex.quote(each)}" for each in found.overrides)
    say(f"kept: {kept or 'nothing'}")
    if found.left:
        say(f"{len(found.left)} stages without a verdict: {', '.join(found.left)}")
        if found.fault is None:
            say("the same command goes on")
    else:
        say(f"next:  risexp train {shlex.join(found.arguments)}")


def _cells(row: "StageRow") -> list[object]:
    shown, judged = row.searched.table, row.verdict
    moved = {} if judged is None else judged.moved
    if judged is not None:
        sentence = judged.sentence
    elif shown.over:
        sentence = "none: trial 0 is not complete"
    else:
        sentence = f"none: {shown.ended or 'it was ended'}"
    return [
        row.name,
        f"{shown.count('complete')} of {shown.wanted}",
        "" if row.best is None else row.best,
        *(f"{moved[name]:+.3f}" if name in moved else "" for name in _SCORES),
        sentence,
    ]
