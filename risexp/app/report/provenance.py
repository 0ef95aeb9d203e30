"""A report's part on where its numbers come from: configuration, code, machine, seeds, scenes."""

from collections.abc import Iterable, Iterator
from typing import Any

from risexp.app.report.gather import ReportData
from risexp.app.report.html import paragraph, section, table
from risexp.app.show.run import RunSeen
from risexp.tracking.payload import data_digest


def provenance(facts: ReportData) -> str:
    """Everything that another one needs to come to the same numbers."""
    charter, runs = facts.charter, list(facts.runs.values())
    rows: list[tuple[str, str]] = [
        ("study", facts.table.name),
        ("space", f"{charter.space.name}, over {charter.space.base or 'the defaults'}"),
        ("charter", charter.sha()),
        ("sampler", f"{charter.space.sampler.kind}, seed {charter.space.sampler.seed}"),
        ("pruner", charter.space.pruner.kind),
        *_of_configs(facts),
        *_of_best(facts.best_run),
        ("code", _every(_codes(runs))),
        ("environments", _every(_machines(runs))),
    ]
    return section(
        "Provenance",
        paragraph("Hashes are SHA-256; a digest of data is that of the law scenes are drawn by."),
        table(["", ""], [row for row in rows if row[1]]),
    )


def _of_configs(facts: ReportData) -> Iterator[tuple[str, str]]:
    configs = [run.config for run in facts.runs.values()] or [facts.charter.base]
    yield "training seeds", _every(str(each.training.seed) for each in configs)
    yield "data seeds", _every(str(each.data.seed) for each in configs)
    yield "data digests", _every(data_digest(each) for each in configs)


def _of_best(run: RunSeen | None) -> Iterator[tuple[str, str]]:
    if run is None:
        return
    yield "configuration of the best trial", run.folder.config_sha
    page = run.page
    if page is not None:
        yield "its record", f"{page[0]} store, {page[1]}"


def _codes(runs: Iterable[RunSeen]) -> Iterator[str]:
    for run in runs:
        for source in run.sources:
            commit = source.commit or "no git commit"
            yield f"{commit}{' with changes' if source.dirty else ''}"


def _machines(runs: Iterable[RunSeen]) -> Iterator[str]:
    for run in runs:
        yield from (_machine(each) for each in run.environments)


def _machine(told: Any) -> str:  # noqa: ANN401 - a document of any version
    packages = ", ".join(f"{name} {version}" for name, version in told.get("packages", {}).items())
    return (
        f"risexp {told.get('risexp', '?')}, Python {told.get('python', '?')}, "
        f"{told.get('platform', '?')}, {told.get('device', '?')} "
        f"({told.get('device_name', '?')}), {told.get('threads', '?')} threads; {packages}"
    )


def _every(words: Iterable[str]) -> str:
    """Each of them once, in their order."""
    return "; ".join(dict.fromkeys(words))
