"""The report of a study as one page: what was searched, how it ended, and what is worth knowing."""

from html import escape

from risexp.app.report import figures as report_figures
from risexp.app.report import html as report_html
from risexp.app.report.best_trial import best_trial
from risexp.app.report.gather import ReportData
from risexp.app.report.html import (
    bars,
    commands,
    figure,
    folded,
    grid,
    number,
    paragraph,
    section,
    sentence,
    short,
    table,
    tiles,
)
from risexp.app.report.provenance import provenance
from risexp.app.report.trials import next_commands, parameters, trials
from risexp.hpo.studies.table import WORDS
from risexp.space.files import parts


def report_page(facts: ReportData) -> str:
    """The whole page, as HTML."""
    title = f"Study {facts.table.name}"
    return report_html.page(
        title,
        [
            _top(facts, title),
            _searched(facts),
            best_trial(facts),
            _history(facts),
            _fields(facts),
            _pareto(facts),
            _pruning(facts),
            _confirmed(facts),
            trials(facts),
            provenance(facts),
            section("Next", commands(next_commands(facts))),
        ],
    )


def _top(facts: ReportData, title: str) -> str:
    study, best, run = facts.table, facts.best, facts.best_run
    said = ", ".join(f"{study.count(word)} {word}" for word in WORDS if study.count(word))
    values = [
        (number(None if best is None else best.value) or "none", "k_loc of the best trial"),
        ("none" if best is None else str(best.number), "best trial"),
    ]
    if run is not None:
        scores = run.best
        values += [
            (number(scores.get(name)), what)
            for name, what in (("k_acc", "its K accuracy"), ("success_rate", "its success rate"))
        ]
    values += [(f"{study.done} of {study.wanted}", "trials ended"), (str(study.epochs), "epochs")]
    made = f"{facts.made_at:%Y-%m-%d %H:%M} UTC"
    return "".join(
        [
            f"<header><h1>{escape(title)}</h1>",
            paragraph(f"{said} of {study.wanted} trials, as of {made}. {_end(facts)}"),
            tiles(values),
            *([paragraph(warning, "warn")] if (warning := _warning(facts)) else []),
            *(paragraph(each, "soft") for each in facts.remarks),
            "</header>",
        ]
    )


def _end(facts: ReportData) -> str:
    study = facts.table
    if study.over:
        return "The search is over."
    left = f"{study.count('running')} trials run and {study.count('waiting')} wait"
    if study.ended is not None:
        return f"The search ended before all were done: {study.ended}; {left}."
    return f"The search is not over: {left}."


def _warning(facts: ReportData) -> str:
    """What must not be overlooked of the best trial's count."""
    run = facts.best_run
    if facts.best is None:
        return "No trial is complete yet, so nothing of this says how well a network does."
    return f"The best trial's count is {run.doubt}." if run and run.best and run.doubt else ""


def _searched(facts: ReportData) -> str:
    space, best = facts.charter.space, facts.best
    base = facts.charter.base_values()
    told = parts(space)
    chosen = {} if best is None else best.values
    rows = [
        (
            path,
            short(base[path]) if path in base else "",
            short(chosen[path]) if path in chosen else "",
            told[f"vary {path}"].removeprefix("kind "),
        )
        for path in space.vary
    ]
    fixed = [(key, value) for key, value in told.items() if not key.startswith("vary ")]
    return section(
        "What was searched",
        paragraph(
            f"Space {space.name}: {space.about}" if space.about else f"Space {space.name}.", "soft"
        ),
        table(["field", "base", "best trial", "searched"], rows),
        folded("What all trials share", table(["part", "value"], fixed)),
    )


def _history(facts: ReportData) -> str:
    return section(
        "How the search went",
        grid(
            [
                figure(
                    report_figures.history(facts),
                    "k_loc by trial; smaller is better, -1 is perfect. Triangles on the edge are "
                    "worse than the scale shows.",
                ),
                figure(
                    report_figures.curves(facts),
                    "k_loc after each epoch; a cross: ended early, by the pruner or a guard.",
                ),
            ]
        ),
    )


def _fields(facts: ReportData) -> str:
    found = facts.importance
    if not any(row.values for row in facts.table.trials):
        return ""
    shown = []
    if found.shares:
        shown += [
            paragraph(
                f"Share of the variance of k_loc that a field explains, over {found.trials} "
                "complete trials (fANOVA); fields that only some trials have are left out."
            ),
            bars(["field", "share"], found.shares.items()),
        ]
    if found.doubt:
        shown.insert(1, paragraph(sentence(found.doubt), "soft"))
    return section(
        "What mattered",
        *shown,
        report_html.heading("k_loc over each field"),
        grid(report_figures.slices(facts), "many"),
    )


def _pareto(facts: ReportData) -> str:
    front = facts.front()
    if not front:
        return ""
    timed = bool(facts.ms_per_scene)
    what = (
        f"time a scene. The networks of the {len(facts.ms_per_scene)} best trials were timed one "
        "after another when this was written, localisation included"
        if timed
        else "number of parameters. Times are measured where fresh scenes are answered"
    )
    rows = [
        (
            each.trial,
            number(each.k_loc),
            *([number(each.cost, 2)] if timed else []),
            parameters(facts, each.trial),
        )
        for each in front
    ]
    headings = ["trial", "k_loc", *(["ms a scene"] if timed else []), "parameters"]
    return section(
        "Accuracy and cost",
        paragraph(f"Trials that no other one beats in both k_loc and {what}."),
        grid(
            [
                figure(report_figures.pareto(facts), "Blue: the front, by trial number."),
                table(headings, rows),
            ]
        ),
    )


def _pruning(facts: ReportData) -> str:
    audit = facts.audit
    shown = [paragraph(sentence(facts.heard)), paragraph(sentence(audit.saved.sentence()))]
    if not audit.trials:
        if audit.saved.trials:
            shown.append(
                paragraph("What that cost is not known: no trial was audited (see Next).", "soft")
            )
        return section("Ending trials early", *shown)
    if audit.regret is None:
        shown.append(paragraph("None of the audited trials has come to its end.", "soft"))
    else:
        by = f", by {audit.regret:.3f} of k_loc at most" if audit.better else ""
        shown.append(
            paragraph(
                f"Of {len(audit.ended)} audited trials that came to their ends, {audit.better} "
                f"would have been the best{by}: the regret is {audit.regret:.3f}."
            )
        )
    rows = [
        (
            each.trial,
            each.epoch,
            number(each.last),
            each.state,
            number(each.value),
            _apart(facts, each.value),
        )
        for each in audit.trials
    ]
    headings = ["trial", "ended after", "k_loc then", "state now", "k_loc now", "against best"]
    return section("Ending trials early", *shown, table(headings, rows))


def _apart(facts: ReportData, value: float | None) -> str:
    best = facts.audit.best
    return "" if value is None or best is None else f"{value - best:+.3f}"


def _confirmed(facts: ReportData) -> str:
    found = facts.confirmation
    if found is None:
        return ""
    rows = []
    for each in found.candidates:
        ends = each.difference and each.difference.interval
        rows.append(
            (
                "base" if each is found.base else str(each.trial),
                number(each.before),
                number(each.mean),
                f"{len(each.scores)} of {len(found.seeds)}",
                "" if each.difference is None else f"{each.difference.mean:+.3f}",
                "" if not ends else f"{ends[0]:+.3f} to {ends[1]:+.3f}",
            )
        )
    headings = ["trial", "k_loc before", "k_loc now", "seeds", "against base", "95 % interval"]
    return section(
        "Confirmed under other seeds",
        paragraph("The best trials and the base, trained anew under the same seeds."),
        table(headings, rows),
    )
