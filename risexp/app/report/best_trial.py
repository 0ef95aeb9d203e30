"""A report's part on the best trial: its counts, its accuracy beside what is known, its losses."""

from collections.abc import Mapping, Sequence
from typing import Any

from risexp.app.report import figures as report_figures
from risexp.app.report.gather import ReportData
from risexp.app.report.html import (
    block,
    counts,
    figure,
    grid,
    heading,
    number,
    paragraph,
    section,
    table,
)
from risexp.app.show.run import RunSeen


def best_trial(facts: ReportData) -> str:
    """What the best complete trial is worth; nothing while there is none."""
    best, run = facts.best, facts.best_run
    if best is None:
        return ""
    if run is None or run.best_epoch is None:
        why = "run is not in this home" if run is None else "record holds no judged epoch"
        told = f"Trial {best.number}, whose {why}: only its k_loc is known here."
        return section("The best trial", paragraph(told), *_fresh(facts))
    scenes = int(run.best.get("scenes", 0))
    return section(
        "The best trial",
        paragraph(
            f"Trial {best.number}, run {run.name}: epoch {run.best_epoch} of {max(run.by_epoch)}, "
            f"judged on {scenes:,} validation scenes. The best of many trials is also the luckiest "
            "on them."
        ),
        _beside(run),
        *_fresh(facts),
        _confused(run),
        grid(
            [
                figure(report_figures.losses(run), "The loss of the best trial, by epoch."),
                figure(report_figures.terms(run), "What each term adds to its training loss."),
            ]
        ),
    )


def _beside(run: RunSeen) -> str:
    rows = [(name, *(number(each) for each in values)) for name, *values in run.beside()]
    return table(["validation", "network", "chance", "NOMP", "reference"], rows)


def _fresh(facts: ReportData) -> list[str]:
    """Of the scenes that nobody has chosen by."""
    found = facts.accuracy
    if found is None:
        return []
    scores = {name: row.mean for name, row in found.rows.items()}
    rows = [
        (
            name,
            *(
                f"{getattr(each.value, score):.3f} [{getattr(each.low, score):.3f}, "
                f"{getattr(each.high, score):.3f}]"
                for score in ("k_acc", "success_rate", "k_loc")
            ),
            number(found.rows[name].mean_ms, 2),
        )
        for name, each in scores.items()
    ]
    return [
        heading(f"On {found.scenes_per_snr} fresh test scenes, each heard at every SNR"),
        table(["", "K accuracy", "success rate", "k_loc", "ms a scene"], rows),
        grid(
            [
                figure(
                    report_figures.accuracy(facts, "k_acc"),
                    "K accuracy over SNR with 95 % bands, beside NOMP, what is detectable, chance.",
                ),
                figure(
                    report_figures.accuracy(facts, "success_rate"),
                    "Success rate likewise, beside what the Cramér-Rao bound allows.",
                ),
            ]
        ),
    ]


def _confused(run: RunSeen) -> str:
    told = run.confusion
    if not told:
        return ""
    return grid(
        [
            block("Which count was taken for which", _matrix(told)),
            block("Validation scenes by SNR", _by_snr(told["by_snr"])),
        ]
    )


def _matrix(told: Mapping[str, Any]) -> str:
    """True counts down, answered ones across."""
    none, beyond, matrix = told["none"], told["beyond"], told["matrix"]
    most = len(matrix)
    columns = [str(count) for count in range(1, most + 1)]
    rows: list[tuple[str, Sequence[int]]] = []
    for place, row in enumerate(matrix):
        values = [*([none[place]] if any(none) else []), *row]
        rows.append((f"K = {place + 1}", [*values, *([beyond[place]] if any(beyond) else [])]))
    columns = [*(["0"] if any(none) else []), *columns, *([f">{most}"] if any(beyond) else [])]
    return counts(columns, rows)


def _by_snr(bins: Mapping[str, Mapping[str, Any]]) -> str:
    rows = []
    for name, told in bins.items():
        true = [
            sum(row) + told["none"][place] + told["beyond"][place]
            for place, row in enumerate(told["matrix"])
        ]
        right = sum(row[place] for place, row in enumerate(told["matrix"]))
        scenes = sum(true) or 1
        rows.append((f"{name} dB", scenes, number(right / scenes), number(max(true) / scenes)))
    return table(["SNR", "scenes", "K accuracy", "chance"], rows)
