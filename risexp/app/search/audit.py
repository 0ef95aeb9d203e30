"""A few of the trials that a study ended early, trained to their ends in a study of its own."""

from dataclasses import dataclass
from typing import Any, Final

from risexp.app.search.resources import Resources, validate_launch
from risexp.app.search.search import (
    SearchResult,
    existing_study,
    expect_no_runs,
    open_studies,
    supervise,
)
from risexp.app.search.supervisor import Say, Show
from risexp.errors import InvalidInput
from risexp.hpo.store.store import NotMade, StudyStore, find_store
from risexp.hpo.studies.audits import Audit, chosen
from risexp.hpo.studies.facts import spec_from_facts
from risexp.hpo.studies.start import StudyStart, by_slot
from risexp.hpo.studies.study import StudyRef, find_study, is_study, open_study
from risexp.hpo.studies.table import study_table
from risexp.space.confirm import unpruned

_OF: Final = "search"
"""What an audit is of, among what it began with: the study's uid, which never comes again."""
_SHARE: Final = "--audit-share"


@dataclass(frozen=True)
class AuditRequest(Resources):
    """What a person asks to be audited."""

    study: str
    """One that ended trials early."""
    share: float | None = None
    """Of those trials; by default three of them."""

    @property
    def name(self) -> str:
        """Of the study that the audit is."""
        return f"{self.study}-audit"


@dataclass(frozen=True)
class AuditResult:
    """What an audit found, and how its study ended."""

    audit: Audit
    searched: SearchResult | None
    """None where nothing was ended early."""

    @property
    def exit_code(self) -> int:
        """Of the audit's study."""
        return 0 if self.searched is None else self.searched.exit_code

    def as_json(self) -> dict[str, Any]:
        """As plain values."""
        found = None if self.searched is None else self.searched.as_json()
        return {**self.audit.as_json(), "audited_in": found}


def expect_possible(wanted: AuditRequest) -> None:
    """See to it, before a study is searched, that it can be audited afterwards.

    Raises:
        RisexpError: Its audit cannot be made, or not go on with what it began with.
    """
    validate_launch(wanted.name, wanted)
    try:
        with open_studies(find_store) as store:
            there = is_study(store, wanted.study)
            _begun(store, wanted, find_study(store, wanted.study).uid if there else None)
    except NotMade:
        expect_no_runs(wanted.name, "--study")


def is_auditable(found: SearchResult, until: float | None) -> bool:
    """Whether nothing of a search runs, and its trials are done or as good as was asked for.

    Args:
        found: How the search ended.
        until: Value of a complete trial below which it was to end.
    """
    table = found.table
    enough = until is not None and table.lowest is not None and table.lowest < until
    return not found.exit_code and not table.count("running") and (table.over or enough)


def audit(wanted: AuditRequest, show: Show, say: Say) -> AuditResult:
    """Train some trials that a study ended early to their ends, or go on with that.

    They have the values and the seeds that they had.

    Args:
        wanted: What is asked for.
        show: Told now and then how the audit's study stands.
        say: Told sentences that stay.

    Raises:
        RisexpError: There is no such study, it cannot be audited, or the machine failed.
    """
    destination = validate_launch(wanted.name, wanted)
    with open_studies(find_store) as store:
        source = find_study(store, wanted.study)
        charter = spec_from_facts(source.name, source.facts)
        table = study_table(store, source, charter.space)
        beginning = _begun(store, wanted, source.uid)
        if beginning is None:
            points = chosen(source.name, table.trials, wanted.share, charter.space.sampler.seed)
            if not points:
                return AuditResult(Audit.of(source.name, charter, table.trials, (), {}), None)
            whole = unpruned(charter, f"{charter.space.name}-audit")
            beginning = StudyStart.new(whole, points, {_OF: source.uid, _SHARE: wanted.share})
        study = open_study(store, beginning.plan(wanted.name, len(beginning.points)))
        found = supervise(store, study, wanted, destination, show, say)
        rows = by_slot(store, study, found.table)
    return AuditResult(Audit.of(source.name, charter, table.trials, beginning.points, rows), found)


def audit_so_far(store: StudyStore, study: StudyRef) -> Audit:
    """What ending trials early saved, and what is known of its cost; nothing is trained.

    Args:
        store: Where the study is, and its audit where there is one.
        study: The one that ended trials early.
    """
    charter = spec_from_facts(study.name, study.facts)
    table = study_table(store, study, charter.space)
    name = AuditRequest(study.name).name
    if is_study(store, name):
        found = find_study(store, name)
        beginning = StudyStart.of(found)
        if beginning.asked.get(_OF) == study.uid:
            audited = study_table(store, found, beginning.charter.space)
            rows = by_slot(store, found, audited)
            return Audit.of(study.name, charter, table.trials, beginning.points, rows)
    return Audit.of(study.name, charter, table.trials, (), {})


def _begun(store: StudyStore, wanted: AuditRequest, uid: str | None) -> StudyStart | None:
    """What the audit of a study began with; None where there is none.

    Args:
        store: Where it may be.
        wanted: What is asked for.
        uid: Of the study; None where it has not begun.

    Raises:
        InvalidInput: What has the audit's name is none, or one of other trials.
    """
    found = existing_study(store, wanted.name, "--study")
    if found is None:
        return None
    if _OF not in found.asked:
        raise InvalidInput(f"study {wanted.name} is no audit: give --study another name")
    if found.asked[_OF] != uid:
        raise InvalidInput(
            f"study {wanted.name} audits an earlier study {wanted.study}, which is gone: give "
            "--study another name"
        )
    before = found.asked[_SHARE]
    if before != wanted.share:
        said, given = ("default" if each is None else each for each in (before, wanted.share))
        way = "leave --audit-share out" if before is None else f"give --audit-share {before}"
        raise InvalidInput(
            f"study {wanted.name} was begun with --audit-share {said} (given: {given}), and its "
            f"trials are chosen once: {way} to go on with it"
        )
    return found
