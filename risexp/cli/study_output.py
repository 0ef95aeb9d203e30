"""Text of studies, searches, audits and stages: tables, summaries, and next steps."""

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from risexp.cli.output import say, short, table
from risexp.errors import InvalidInput

if TYPE_CHECKING:
    from risexp.app.search.derived import AuditResult
    from risexp.app.search.search import SearchResult
    from risexp.app.search.stages import StageRow, StagesResult
    from risexp.app.search.studies import StudyView
    from risexp.hpo.studies.table import StudyTable, TrialRow

_FEW: Final = 6
"""Fields that fit into a row of a table."""
_SCORES: Final = ("k_loc", "k_acc", "success_rate")


@contextmanager
def viewed(*, quiet: bool) -> Iterator["StudyView"]:
    """A study on stderr while it goes on; nothing where a document is wanted."""
    from rich.console import Console

    from risexp.app.search.studies import StudyView

    with StudyView(Console(stderr=True, quiet=quiet, highlight=False)) as view:
        yield view


def study_rows(rows: Sequence["TrialRow"]) -> None:
    """Print trials as a table, with their values where few fields vary."""
    few = len({path for row in rows for path in row.values}) <= _FEW
    headings = ["trial", "state", "epochs", "k_loc", "lowest", "why"]
    table(
        [*headings, "searched"] if few else headings, [_trial_cells(row, few=few) for row in rows]
    )


def study_summary(study: "StudyTable") -> str:
    """A study in one line."""
    why = "" if study.ended is None else f"; ended: {study.ended}"
    return f"study {study.name}: {study.states()} of {study.wanted}, {study.epochs} epochs{why}"


def best_trial(study: "StudyTable") -> None:
    """Print the best trial, and where it differs from trial 0."""
    best = study.best
    if best is None:
        return
    say(f"best: trial {best.number}, k_loc {number(best.value)}, run {run_of(study, best)}")
    if best.number:
        beside_base(study, best)


def trial_of(study: "StudyTable", trial: int) -> "TrialRow":
    """A trial by its number."""
    for row in study.trials:
        if row.number == trial:
            return row
    raise InvalidInput(f"study {study.name} has trials 0 to {len(study.trials) - 1}, not {trial}")


def beside_base(study: "StudyTable", row: "TrialRow") -> None:
    """Print the fields in which a trial differs from trial 0, once both have values."""
    base, values = study.trials[0].values, row.values
    if not base or not values:
        return
    paths = [path for path in {**base, **values} if base.get(path) != values.get(path)]
    if not paths:
        return
    say("")
    headings = ["searched", "trial 0", f"trial {row.number}"]
    table(
        headings, [(path, short(base.get(path, "")), short(values.get(path, ""))) for path in paths]
    )
    say("")


def run_of(study: "StudyTable", row: "TrialRow") -> str:
    """The run of a trial."""
    from risexp.hpo.studies.study import run_id

    return run_id(study.name, row.number)


def number(value: float | None) -> str:
    """A score, or nothing."""
    return "" if value is None else f"{value:.3f}"


def say_unsent(count: int) -> None:
    """Print the number of record lines that were not uploaded yet, if there are any."""
    if count:
        say(f"{count} lines of the record are not in MLflow yet: risexp sync")


def _trial_cells(row: "TrialRow", *, few: bool) -> list[object]:
    score = row.value if row.value is not None else row.k_loc
    cells = [row.number, row.state, row.epoch, number(score), number(row.best), row.reason or ""]
    values = ", ".join(f"{path} = {short(value)}" for path, value in row.values.items())
    return [*cells, values] if few else [*cells]


def say_search(result: "SearchResult") -> None:
    """Print the trials of a search, its best one, and what to do next."""
    study = result.table
    study_rows(study.trials)
    say("")
    say(study_summary(study))
    say(f"pruner: {result.heard}")
    if result.saved.trials:
        say(result.saved.sentence())
    say_unsent(result.unsent)
    best_trial(study)
    if not study.over:
        say("the same command goes on")
    elif study.best is not None:
        say("look:  risexp ui")
        say(f"next:  risexp eval {run_of(study, study.best)} --against nomp")
        say(f"or:    risexp confirm --study {study.name}")
        say(f"or:    risexp promote --study {study.name}")


def say_audit(result: "AuditResult") -> None:
    """Print the audited trials, and whether pruning lost the best one."""
    from risexp.hpo.studies.audit import AUDIT_HEADINGS

    audit = result.audit
    say("")
    if result.searched is None:
        say(f"audit: study {audit.study} ended no trial early, so there is nothing to audit")
        return
    study = result.searched.table
    table(AUDIT_HEADINGS, audit.cells())
    say("")
    say(study_summary(study))
    say(
        f"audit: {len(audit.ended)} of {audit.saved.trials} trials that were ended early came to "
        f"their ends in study {study.name}"
    )
    if audit.regret is not None:
        by = f", by {audit.regret:.3f} of k_loc at most" if audit.better else ""
        say(f"audit: {audit.better} of {len(audit.ended)} would have been the best{by}")
    if not study.over:
        say("the same command goes on with the audit")


def say_stages(result: "StagesResult") -> None:
    """Print the stages of a search, the kept values, and how to train with them."""
    headings = ["stage", "trials", "best", *(f"{name} by" for name in _SCORES), "verdict"]
    table(headings, [_stage_cells(row) for row in result.rows])
    say("")
    kept = " ".join(f"--set {shlex.quote(override)}" for override in result.overrides)
    say(f"kept: {kept or 'nothing'}")
    if result.left:
        say(f"{len(result.left)} stages without a verdict: {', '.join(result.left)}")
        if result.fault is None:
            say("the same command goes on")
    else:
        say(f"next:  risexp train {shlex.join(result.arguments)}")


def _stage_cells(row: "StageRow") -> list[object]:
    study, judged = row.searched.table, row.verdict
    moved = {} if judged is None else judged.moved
    if judged is not None:
        sentence = judged.sentence
    elif study.over:
        sentence = "none: trial 0 is not complete"
    else:
        sentence = f"none: {study.ended or 'it was ended'}"
    return [
        row.name,
        f"{study.count('complete')} of {study.wanted}",
        "" if row.best is None else row.best,
        *(f"{moved[name]:+.3f}" if name in moved else "" for name in _SCORES),
        sentence,
    ]
