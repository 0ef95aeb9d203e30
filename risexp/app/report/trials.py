"""A report's table of trials, and what a person may do next."""

from risexp.app.report.gather import ReportData
from risexp.app.report.html import folded, number, paragraph, section, short, table
from risexp.hpo.studies.study import run_id
from risexp.hpo.studies.table import TrialRow


def trials(facts: ReportData) -> str:
    """Every trial in a row."""
    rows = facts.table.trials
    places = [each.number for each in rows]
    best = None if facts.best is None else places.index(facts.best.number)
    varied = [*dict.fromkeys(path for row in rows for path in row.values)]
    had = [
        (row.number, *(short(row.values[path]) if path in row.values else "" for path in varied))
        for row in rows
    ]
    headings = [
        "trial",
        "state",
        "epochs",
        "k_loc",
        "K acc.",
        "success",
        "time",
        "parameters",
        "why",
    ]
    return section(
        "Trials",
        paragraph(
            "k_loc is that of the kept checkpoint; of a trial that is not complete, of its last "
            "epoch. K accuracy and success are of its best epoch.",
            "soft",
        ),
        table(headings, [_trial(facts, row) for row in rows], best),
        folded("What each trial had", table(["trial", *varied], had, best)),
    )


def _trial(facts: ReportData, row: TrialRow) -> tuple[object, ...]:
    run = facts.runs.get(row.number)
    scores = {} if run is None else run.best
    why = row.reason if row.reason not in {None, row.state, "finished"} else ""
    doubt = run.doubt if run is not None and run.best and run.doubt != why else None
    return (
        row.number,
        row.state,
        row.epoch or "",
        number(row.value if row.value is not None else row.k_loc),
        number(scores.get("k_acc")),
        number(scores.get("success_rate")),
        _duration(row.seconds),
        parameters(facts, row.number),
        "; ".join(each for each in (why, doubt) if each),
    )


def parameters(facts: ReportData, trial: int) -> str:
    """Of a trial's network; nothing where they are not known."""
    known = facts.parameters.get(trial)
    return "" if known is None else f"{known:,}"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def next_commands(facts: ReportData) -> list[tuple[str, str]]:
    """What a person may do now, and why."""
    study, best = facts.table, facts.best
    found = []
    if not study.over and study.ended is None:
        found.append((f"risexp watch {study.name}", "to see it go on"))
    if facts.audit.saved.trials and not facts.audit.trials and study.over:
        told = f"risexp hpo --space {facts.charter.space.name} --study {study.name} --audit"
        found.append((told, "to learn what ending trials early cost"))
    if best is not None:
        name = run_id(study.name, best.number)
        found += [
            (f"risexp eval {name} --against nomp", "to see the best network beside NOMP"),
            (f"risexp compare --study {study.name} --scenes 2000", "to tell ties from differences"),
        ]
        if facts.confirmation is None:
            told = "to see whether the best trials stay ahead under other seeds"
            found.append((f"risexp confirm --study {study.name}", told))
        found.append((f"risexp promote --study {study.name} --dry-run", "to hold it to the gates"))
    if study.over:
        told = f"risexp space shrink --study {study.name} --out {study.name}-2.yaml"
        found.append((told, "to search closer around the best trials"))
    return found
