"""Studies derived from a search: its best trials confirmed, or its pruned trials audited.

Each takes its points and its spec from the search, trains them to their ends, and compares.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import JsonValue

from risexp.app.search.search import SearchResult, check_no_runs, run_study, start_of
from risexp.app.search.studies import StudyView, open_studies
from risexp.app.search.supervisor import Resources
from risexp.errors import InvalidInput
from risexp.hpo.search.warmup import Pruning
from risexp.hpo.store.store import NotMade, StudyStore, find_store
from risexp.hpo.studies.audit import Audit, audit_points
from risexp.hpo.studies.confirmation import (
    Confirmation,
    ConfirmedPoint,
    candidates,
    seeds_of,
    under_seeds,
)
from risexp.hpo.studies.start import StudyStart, by_slot
from risexp.hpo.studies.study import StudyRef, find_study, is_study, run_id
from risexp.hpo.studies.table import TrialRow, study_table
from risexp.space.derived import SCENES, confirming, scenes_are_free, unpruned, unused_seeds

_SOURCE: Final = "search"
"""Key of an audit's options: the uid of the audited study."""
_SHARE: Final = "--audit-share"


@dataclass(frozen=True)
class ConfirmRequest(Resources):
    """A confirmation to start, or to go on with."""

    study: str
    """The study that is confirmed."""
    name: str
    """The confirming study."""
    top: int = 5
    """Candidates beside the base."""
    seeds: int = 3
    epochs: int | None = None
    """In place of the preset's."""

    def asked(self) -> dict[str, JsonValue]:
        """The options that the points follow from."""
        asked: dict[str, JsonValue] = {
            "--study": self.study,
            "--top": self.top,
            "--seeds": self.seeds,
        }
        return asked if self.epochs is None else {**asked, "--epochs": self.epochs}


@dataclass(frozen=True)
class ConfirmResult:
    """A confirmation, and the end of its study."""

    source: str
    epochs: int
    """Of the base."""
    confirmation: Confirmation
    searched: SearchResult

    def run_of(self, candidate: ConfirmedPoint) -> str | None:
        """The run of a candidate that has the smallest k_loc."""
        return None if candidate.best is None else run_id(self.searched.table.name, candidate.best)

    def as_json(self) -> dict[str, Any]:
        """The result as plain values."""
        best = self.confirmation.best
        return {
            "source": self.source,
            "epochs": self.epochs,
            **self.confirmation.as_json(),
            "best_run": None if best is None else self.run_of(best),
            "study": self.searched.as_json(),
        }


def confirm(request: ConfirmRequest, view: StudyView) -> ConfirmResult:
    """Train the best trials of a study to their ends under several seeds, or go on with that."""
    request.check(request.name)
    asked = request.asked()
    with open_studies(find_store) as store:
        start = start_of(
            store, request.name, "--name", asked, lambda: _confirm_start(store, request, view)
        )
        result, rows = _train(store, request.name, start, request, view)
    epochs = start.spec.base.training.epochs
    return ConfirmResult(request.study, epochs, Confirmation.of(start.points, rows), result)


def _confirm_start(store: StudyStore, request: ConfirmRequest, view: StudyView) -> StudyStart:
    source = find_study(store, request.study)
    spec, table = source.spec, study_table(store, source)
    points = candidates(spec, table, request.top)
    if len(points) == 1:
        raise InvalidInput(
            f"study {source.name} has no complete trial beside its base: search until it has one"
        )
    if not table.over:
        left = table.count("waiting") + table.count("running")
        view.say(f"study {source.name} is not over: {left} of its trials are not considered")
    if len(points) <= request.top:
        view.say(f"study {source.name} has {len(points) - 1} trials to confirm, not {request.top}")
    seeds = unused_seeds(seeds_of(spec, table), request.seeds)
    full = confirming(spec, seeds, request.epochs)
    if not scenes_are_free(spec.space):
        view.say(
            f"{SCENES} is as in the search: space {spec.space.name} varies it, or asks in a "
            "condition what it is"
        )
    # A plan that is impossible fails here, before a worker builds it.
    Pruning.of(full)
    return StudyStart.new(full, under_seeds(points, seeds), request.asked())


def confirmed_so_far(store: StudyStore, study: StudyRef) -> Confirmation | None:
    """The present state of STUDY-confirm; None where there is no such study."""
    name = f"{study.name}-confirm"
    if not is_study(store, name):
        return None
    start = StudyStart.of(find_study(store, name))
    if start.asked.get("--study") != study.name:
        return None
    return Confirmation.of(start.points, _rows(store, name))


@dataclass(frozen=True)
class AuditRequest(Resources):
    """An audit to start, or to go on with."""

    study: str
    """The study that is audited."""
    share: float | None = None
    """Of its pruned trials; by default three of them."""

    @property
    def name(self) -> str:
        """The auditing study."""
        return f"{self.study}-audit"


@dataclass(frozen=True)
class AuditResult:
    """An audit, and the end of its study."""

    audit: Audit
    searched: SearchResult | None = None
    """None where no trial was pruned."""

    @property
    def exit_code(self) -> int:
        """Of the auditing study."""
        return 0 if self.searched is None else self.searched.exit_code

    def as_json(self) -> dict[str, Any]:
        """The result as plain values."""
        searched = None if self.searched is None else self.searched.as_json()
        return {**self.audit.as_json(), "audited_in": searched}


def check_auditable(request: AuditRequest) -> None:
    """Check, before a study is searched, that it can be audited afterwards."""
    request.check(request.name)
    try:
        with open_studies(find_store) as store:
            known = is_study(store, request.study)
            _check_audit(store, request, find_study(store, request.study).uid if known else None)
    except NotMade:
        check_no_runs(request.name, "--study")


def is_auditable(result: SearchResult, until: float | None) -> bool:
    """True if no trial runs, and all have finished or one of them has a value below `until`."""
    table = result.table
    enough = until is not None and table.lowest is not None and table.lowest < until
    return not result.exit_code and not table.count("running") and (table.over or enough)


def audit(request: AuditRequest, view: StudyView) -> AuditResult:
    """Train some pruned trials of a study to their ends, or go on with that.

    They keep their values and seeds.
    """
    request.check(request.name)
    with open_studies(find_store) as store:
        source = find_study(store, request.study)
        spec, table = source.spec, study_table(store, source)
        _check_audit(store, request, source.uid)
        asked: dict[str, JsonValue] = {_SOURCE: source.uid, _SHARE: request.share}

        def create() -> StudyStart:
            points = audit_points(table, request.share, spec.space.sampler.seed)
            return StudyStart.new(unpruned(spec), points, asked)

        start = start_of(store, request.name, "--study", asked, create)
        if not start.points:
            return AuditResult(Audit.of(spec, table))
        result, rows = _train(store, request.name, start, request, view)
    return AuditResult(Audit.of(spec, table, start.points, rows), result)


def audit_so_far(store: StudyStore, study: StudyRef) -> Audit:
    """The audit of a study as far as it was trained; without one, what pruning saved."""
    table, name = study_table(store, study), AuditRequest(study.name).name
    if is_study(store, name):
        start = StudyStart.of(find_study(store, name))
        if start.asked.get(_SOURCE) == study.uid:
            return Audit.of(study.spec, table, start.points, _rows(store, name))
    return Audit.of(study.spec, table)


def _check_audit(store: StudyStore, request: AuditRequest, uid: str | None) -> None:
    """Check that the study of the audit's name is missing, or an audit of the same trials.

    `uid` is of the audited study; None where it does not exist yet.
    """
    name = request.name
    if not is_study(store, name):
        check_no_runs(name, "--study")
        return
    start = StudyStart.of(find_study(store, name))
    if _SOURCE not in start.asked:
        raise InvalidInput(f"study {name} is no audit: give --study another name")
    if start.asked[_SOURCE] != uid:
        raise InvalidInput(
            f"study {name} audits an earlier study {request.study}, which is gone: give --study "
            "another name"
        )
    start.check_asked(name, {_SOURCE: uid, _SHARE: request.share}, "--study")


def _train(
    store: StudyStore, name: str, start: StudyStart, resources: Resources, view: StudyView
) -> tuple[SearchResult, Mapping[int, TrialRow]]:
    """Train every point of a derived study; its trials by their slots."""
    result = run_study(store, start.open(store, name), resources, view)
    return result, _rows(store, name)


def _rows(store: StudyStore, name: str) -> Mapping[int, TrialRow]:
    return by_slot(store, find_study(store, name))
