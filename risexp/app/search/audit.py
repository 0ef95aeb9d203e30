"""A few of the trials that a study ended early, trained to their ends in a study of its own."""

from dataclasses import dataclass
from typing import Any, Final

from risexp.app.search.resources import Means, possible
from risexp.app.search.search import Searched, at_work_in, begun, expect_no_runs, look_after
from risexp.app.search.supervisor import Say, Show
from risexp.errors import InvalidInput
from risexp.hpo.store.store import NotMade, Store, find_store
from risexp.hpo.studies.audits import Audit, chosen
from risexp.hpo.studies.facts import charter_of
from risexp.hpo.studies.start import Beginning, by_slot
from risexp.hpo.studies.study import StudyRef, find_study, is_study, open_study
from risexp.hpo.studies.table import study_table
from risexp.space.confirm import unpruned

_OF: Final = "search"
"""What an audit is of, among what it began with: the study's uid, which never comes again."""
_SHARE: Final = "--audit-share"


@dataclass(frozen=True)
class ToAudit(Means):
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
class AuditDone:
    """What an audit found, and how its study ended."""

    audit: Audit
    searched: Searched | None
    """None where nothing was ended early."""

    @property
    def exit_code(self) -> int:
        """Of the audit's study."""
        return 0 if self.searched is None else self.searched.exit_code

    def as_json(self) -> dict[str, Any]:
        """As plain values."""
        found = None if self.searched is None else self.searched.as_json()
        return {**self.audit.as_json(), "audited_in": found}


def expect_possible(wanted: ToAudit) -> None:
    """See to it, before a study is searched, that it can be audited afterwards.

    Raises:
        RisexpError: Its audit cannot be made, or not go on with what it began with.
    """
    possible(wanted.name, wanted)
    try:
        with at_work_in(find_store) as store:
            there = is_study(store, wanted.study)
            _begun(store, wanted, find_study(store, wanted.study).uid if there else None)
    except NotMade:
        expect_no_runs(wanted.name, "--study")


def is_auditable(found: Searched, until: float | None) -> bool:
    """Whether nothing of a search runs, and its trials are done or as good as was asked for.

    Args:
        found: How the search ended.
        until: Value of a complete trial below which it was to end.
    """
    table = found.table
    enough = until is not None and table.lowest is not None and table.lowest < until
    return not found.exit_code and not table.count("running") and (table.over or enough)


def audit(wanted: ToAudit, show: Show, say: Say) -> AuditDone:
    """Train some trials that a study ended early to their ends, or go on with that.

    They have the values and the seeds that they had.

    Args:
        wanted: What is asked for.
        show: Told now and then how the audit's study stands.
        say: Told sentences that stay.

    Raises:
        RisexpError: There is no such study, it cannot be audited, or the machine failed.
    """
    destination = possible(wanted.name, wanted)
    with at_work_in(find_store) as store:
        source = find_study(store, wanted.study)
        charter = charter_of(source.name, source.facts)
        table = study_table(store, source, charter.space)
        beginning = _begun(store, wanted, source.uid)
        if beginning is None:
            points = chosen(source.name, table.trials, wanted.share, charter.space.sampler.seed)
            if not points:
                return AuditDone(Audit.of(source.name, charter, table.trials, (), {}), None)
            whole = unpruned(charter, f"{charter.space.name}-audit")
            beginning = Beginning.new(whole, points, {_OF: source.uid, _SHARE: wanted.share})
        study = open_study(store, beginning.plan(wanted.name, len(beginning.points)))
        found = look_after(store, study, wanted, destination, show, say)
        rows = by_slot(store, study, found.table)
    return AuditDone(Audit.of(source.name, charter, table.trials, beginning.points, rows), found)


def audit_so_far(store: Store, study: StudyRef) -> Audit:
    """What ending trials early saved, and what is known of its cost; nothing is trained.

    Args:
        store: Where the study is, and its audit where there is one.
        study: The one that ended trials early.
    """
    charter = charter_of(study.name, study.facts)
    table = study_table(store, study, charter.space)
    name = ToAudit(study.name).name
    if is_study(store, name):
        found = find_study(store, name)
        beginning = Beginning.of(found)
        if beginning.asked.get(_OF) == study.uid:
            audited = study_table(store, found, beginning.charter.space)
            rows = by_slot(store, found, audited)
            return Audit.of(study.name, charter, table.trials, beginning.points, rows)
    return Audit.of(study.name, charter, table.trials, (), {})


def _begun(store: Store, wanted: ToAudit, uid: str | None) -> Beginning | None:
    """What the audit of a study began with; None where there is none.

    Args:
        store: Where it may be.
        wanted: What is asked for.
        uid: Of the study; None where it has not begun.

    Raises:
        InvalidInput: What has the audit's name is none, or one of other trials.
    """
    found = begun(store, wanted.name, "--study")
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
