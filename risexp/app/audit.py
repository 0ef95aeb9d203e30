"""A few of the trials that a study ended early, trained to their ends in a study of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import JsonValue

from risexp.app.lookout import Say, Show
from risexp.app.means import Means, possible
from risexp.app.search import Searched, at_work_in, begun, look_after
from risexp.config.space_charter import Charter
from risexp.config.space_confirm import unpruned
from risexp.hpo.audits import Audit, chosen
from risexp.hpo.beginnings import Beginning, by_slot
from risexp.hpo.charters import charter_of
from risexp.hpo.points import Point
from risexp.hpo.store import find_store
from risexp.hpo.studies import find_study, open_study
from risexp.hpo.table import study_table


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


def audit(wanted: ToAudit, show: Show, say: Say) -> AuditDone:
    """Train some trials that a study ended early to their ends, or go on with that.

    They have the values and the seeds that they had.

    Args:
        wanted: What is asked for.
        show: Told now and then how the audit's study stands.
        say: Told sentences that stay.

    Raises:
        RisexpError: There is no such study, or the machine failed.
    """
    destination = possible(wanted.name, wanted)
    with at_work_in(find_store) as store:
        source = find_study(store, wanted.study)
        charter = charter_of(source.name, source.facts)
        table = study_table(store, source, charter.space)
        asked: dict[str, JsonValue] = {"search": source.uid, "--audit-share": wanted.share}
        beginning = begun(store, wanted.name, asked, "--study")
        if beginning is None:
            points = chosen(source.name, table.trials, wanted.share, charter.space.sampler.seed)
            if not points:
                return AuditDone(Audit.of(source.name, charter, table.trials, (), {}), None)
            beginning = _beginning(charter, points, asked)
        study = open_study(store, beginning.plan(wanted.name, len(beginning.points)))
        found = look_after(store, study, wanted, destination, show, say)
        rows = by_slot(store, study, found.table)
    return AuditDone(Audit.of(source.name, charter, table.trials, beginning.points, rows), found)


def _beginning(
    charter: Charter, points: Sequence[Point], asked: Mapping[str, JsonValue]
) -> Beginning:
    whole = unpruned(charter, f"{charter.space.name}-audit")
    return Beginning.new(whole, points, asked)
