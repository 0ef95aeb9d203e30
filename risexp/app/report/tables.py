"""Tables and lists of a study's report."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from risexp.app.benchmark.accuracy.measure import AccuracyTable
from risexp.app.report.gather import ReportData
from risexp.app.show.run import RunSeen, scored
from risexp.hpo.studies.audit import AUDIT_HEADINGS, Audit
from risexp.hpo.studies.confirmation import CONFIRMED_HEADINGS, Confirmation
from risexp.hpo.studies.study import run_id
from risexp.hpo.studies.table import TrialRow
from risexp.runs.source import Source
from risexp.space.cost import in_words
from risexp.space.files import parts
from risexp.tracking.payload import data_digest


@dataclass(frozen=True)
class ReportTable:
    """Headings and rows of one table."""

    headings: Sequence[str]
    rows: Sequence[Sequence[object]]
    best: int | None = None
    """Index of the highlighted row."""

    @cached_property
    def numeric(self) -> list[bool]:
        """True for columns of numbers, which are aligned to the right."""
        return [
            all(_is_number(row[column]) for row in self.rows)
            for column in range(len(self.headings))
        ]


def score(value: float | None, digits: int = 3) -> str:
    """Format a score; empty if there is none."""
    return "" if value is None else f"{value:.{digits}f}"


def searched(data: ReportData) -> ReportTable:
    """Searched fields with their values in the base and in the best trial."""
    base, ranges = data.spec.base_values(), parts(data.spec.space)
    best = {} if data.best is None else data.best.values
    rows = [
        (path, _value(base, path), _value(best, path), ranges[f"vary {path}"].removeprefix("kind "))
        for path in data.spec.space.vary
    ]
    return ReportTable(["field", "base", "best trial", "searched"], rows)


def shared(data: ReportData) -> ReportTable:
    """Parts of the space that do not vary."""
    space = parts(data.spec.space)
    rows = [(key, value) for key, value in space.items() if not key.startswith("vary ")]
    return ReportTable(["part", "value"], rows)


def beside(run: RunSeen) -> ReportTable:
    """Validation scores of the best network beside its references."""
    rows = [(name, *(score(value) for value in values)) for name, *values in run.beside()]
    return ReportTable(["validation", "network", "chance", "NOMP", "reference"], rows)


def fresh(accuracy: AccuracyTable) -> ReportTable:
    """Mean scores with intervals on scenes that no choice was made by."""
    rows = []
    for name, row in accuracy.rows.items():
        means = [
            f"{getattr(row.mean.value, one):.3f} [{getattr(row.mean.low, one):.3f}, "
            f"{getattr(row.mean.high, one):.3f}]"
            for one in ("k_acc", "success_rate", "k_loc")
        ]
        rows.append((name, *means, score(row.mean_ms, 2)))
    return ReportTable(["", "K accuracy", "success rate", "k_loc", "ms a scene"], rows)


def by_snr(bins: Mapping[str, Mapping[str, Any]]) -> ReportTable:
    """Accuracy of the count by SNR."""
    rows = []
    for name, counts in bins.items():
        by_count, right = zip(*scored(counts), strict=True)
        scenes = sum(by_count) or 1
        rows.append(
            (f"{name} dB", scenes, score(sum(right) / scenes), score(max(by_count) / scenes))
        )
    return ReportTable(["SNR", "scenes", "K accuracy", "chance"], rows)


def front(data: ReportData) -> ReportTable:
    """Trials on the Pareto front."""
    timed = bool(data.ms_per_scene)
    rows = [
        (
            each.trial,
            score(each.k_loc),
            *([score(each.cost, 2)] if timed else []),
            _parameters(data, each.trial),
        )
        for each in data.front()
    ]
    cost = ["ms a scene"] if timed else []
    return ReportTable(["trial", "k_loc", *cost, "parameters"], rows)


def audited(audit: Audit) -> ReportTable:
    """Pruned trials that were trained to their end."""
    return ReportTable(AUDIT_HEADINGS, audit.cells())


def confirmed(confirmation: Confirmation) -> ReportTable:
    """Candidates trained again under other seeds."""
    return ReportTable(CONFIRMED_HEADINGS, confirmation.cells())


def trials(data: ReportData) -> ReportTable:
    """Every trial in a row."""
    scores = ["k_loc", "K acc.", "success"]
    headings = ["trial", "state", "epochs", *scores, "time", "parameters", "why"]
    return ReportTable(headings, [_trial(data, row) for row in data.table.trials], _best(data))


def parameters(data: ReportData) -> ReportTable:
    """Searched values of every trial."""
    rows = data.table.trials
    fields = [*dict.fromkeys(path for row in rows for path in row.values)]
    values = [(row.number, *(_value(row.values, path) for path in fields)) for row in rows]
    return ReportTable(["trial", *fields], values, _best(data))


def provenance(data: ReportData) -> ReportTable:
    """Configuration, code, machines, seeds and scenes of the numbers."""
    spec, runs, best = data.spec, list(data.runs.values()), data.best_run
    page, base = None if best is None else best.page, spec.base
    training = [run.training_seed for run in runs] or [base.training.seed]
    data_seeds = [run.data_seed for run in runs] or [base.data.seed]
    digests = [run.data_digest for run in runs] or [data_digest(base)]
    rows = [
        ("study", data.table.name),
        ("space", f"{spec.space.name}, over {spec.space.base or 'the defaults'}"),
        ("specification", spec.sha()),
        ("sampler", f"{spec.space.sampler.kind}, seed {spec.space.sampler.seed}"),
        ("pruner", spec.space.pruner.kind),
        ("training seeds", _distinct(map(str, training))),
        ("data seeds", _distinct(map(str, data_seeds))),
        ("data digests", _distinct(digests)),
        ("configuration of the best trial", "" if best is None else best.folder.config_sha),
        ("its record", "" if page is None else f"{page[0]} store, {page[1]}"),
        ("code", _distinct(_code(source) for run in runs for source in run.sources)),
        ("environments", _distinct(_machine(each) for run in runs for each in run.environments)),
    ]
    return ReportTable(["", ""], [row for row in rows if row[1]])


def next_commands(data: ReportData) -> list[tuple[str, str]]:
    """Commands for the next steps, and what they are for."""
    study, best = data.table, data.best
    commands = []
    if not study.over and study.ended is None:
        commands.append((f"risexp watch {study.name}", "to see it go on"))
    if data.audit.saved.trials and not data.audit.trials and study.over:
        command = f"risexp hpo --space {data.spec.space.name} --study {study.name} --audit"
        commands.append((command, "to learn what ending trials early cost"))
    if best is not None:
        name = run_id(study.name, best.number)
        commands += [
            (f"risexp eval {name} --against nomp", "to see the best network beside NOMP"),
            (f"risexp compare --study {study.name} --scenes 2000", "to tell ties from differences"),
        ]
        if data.confirmation is None:
            purpose = "to see whether the best trials stay ahead under other seeds"
            commands.append((f"risexp confirm --study {study.name}", purpose))
        promotion = f"risexp promote --study {study.name} --dry-run"
        commands.append((promotion, "to hold it to the gates"))
    if study.over:
        command = f"risexp space shrink --study {study.name} --out {study.name}-2.yaml"
        commands.append((command, "to search closer around the best trials"))
    return commands


def _trial(data: ReportData, row: TrialRow) -> tuple[object, ...]:
    run = data.runs.get(row.number)
    scores = {} if run is None else run.best
    why = row.reason if row.reason not in {None, row.state, "finished"} else ""
    doubt = run.doubt if run is not None and run.doubt != why else None
    return (
        row.number,
        row.state,
        row.epoch or "",
        score(row.value if row.value is not None else row.k_loc),
        score(scores.get("k_acc")),
        score(scores.get("success_rate")),
        "" if row.seconds is None else in_words(row.seconds),
        _parameters(data, row.number),
        "; ".join(each for each in (why, doubt) if each),
    )


def _best(data: ReportData) -> int | None:
    numbers = [row.number for row in data.table.trials]
    return None if data.best is None else numbers.index(data.best.number)


def _parameters(data: ReportData, trial: int) -> str:
    count = data.parameters.get(trial)
    return "" if count is None else f"{count:,}"


def _value(values: Mapping[str, object], path: str) -> str:
    value = values.get(path, "")
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _code(source: Source) -> str:
    return f"{source.commit or 'no git commit'}{' with changes' if source.dirty else ''}"


def _machine(document: Any) -> str:  # noqa: ANN401 - a document of any version
    keys = ("risexp", "python", "platform", "device", "device_name", "threads")
    risexp, python, platform, device, name, threads = (document.get(key, "?") for key in keys)
    packages = document.get("packages", {}).items()
    return (
        f"risexp {risexp}, Python {python}, {platform}, {device} ({name}), {threads} threads; "
        + ", ".join(f"{library} {version}" for library, version in packages)
    )


def _distinct(words: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(words))


def _is_number(cell: object) -> bool:
    if isinstance(cell, int | float):
        return True
    try:
        float(str(cell).replace(",", "") or "0")
    except ValueError:
        return False
    return True
