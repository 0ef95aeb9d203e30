"""One study as database and folders tell it, at one moment."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from sqlalchemy import select

from risexp.app.doctor.folders import Folders, Seen
from risexp.hpo.invariants import FINAL, StudyRecord
from risexp.hpo.leases import Attempt, Leases
from risexp.hpo.reaper import NOBODY
from risexp.hpo.records import study_record
from risexp.hpo.schema import database_clock
from risexp.hpo.store import Store
from risexp.hpo.studies import End, StudyRef, end_of, run_id


@dataclass(frozen=True)
class StudyFacts:
    """All that is known of a study but for its runs in MLflow."""

    study: StudyRef
    record: StudyRecord
    end: End | None
    living: Mapping[int, Attempt]
    """Attempts whose lease lasts, by their trial's number."""
    expired: Mapping[int, Attempt]
    """Attempts whose lease is over, and that nobody has ended."""
    folders: Mapping[int, Seen] = field(default_factory=dict)
    """Of its trials, where they are in this home."""

    @property
    def name(self) -> str:
        """Of the study."""
        return self.study.name

    @cached_property
    def at_work(self) -> bool:
        """Whether a worker has one of its trials."""
        return any(each.lease.owner != NOBODY.id for each in self.living.values())

    @cached_property
    def over(self) -> bool:
        """Whether nothing waits and nothing runs."""
        return all(each.state in FINAL for each in self.record.trials)

    @cached_property
    def unnamed(self) -> tuple[int, ...]:
        """Trials that wait, without anybody having said why."""
        return tuple(
            each.number
            for each in self.record.trials
            if each.state == "waiting" and not each.held and each.number not in self.record.left
        )

    @cached_property
    def orphans(self) -> tuple[int, ...]:
        """Trials that run without a lease."""
        return tuple(
            each.number
            for each in self.record.trials
            if each.state == "running" and each.number not in {*self.living, *self.expired}
        )

    @cached_property
    def late(self) -> frozenset[int]:
        """Trials whose run may say less than they: they are at work, or something is unsent."""
        moving = {
            each.number
            for each in self.record.trials
            if self.at_work and (each.held or each.state not in FINAL)
        }
        unsent = {number for number, seen in self.folders.items() if seen.unsent}
        return frozenset(moving | unsent | self.living.keys())


def study_facts(store: Store, study: StudyRef) -> StudyFacts:
    """A study as its database tells it, without its folders."""
    ids = {each.trial_id: each.number for each in store.storage.list_trials(study.id)}
    clock = select(database_clock(store.engine))
    now = store.write(lambda connection: connection.execute(clock).scalar_one())
    # After the clock: who renews meanwhile is seen alive.
    attempts = Leases(store, study.uid).attempts()
    begun = [each for each in attempts if each.ended is None and each.lease.trial_id in ids]
    return StudyFacts(
        study=study,
        record=study_record(store, study),
        end=end_of(store, study),
        living={ids[each.lease.trial_id]: each for each in begun if each.expires_at > now},
        expired={ids[each.lease.trial_id]: each for each in begun if each.expires_at <= now},
    )


def in_folders(facts: StudyFacts, folders: Folders) -> StudyFacts:
    """The same with its folders, which were looked at later: what is final was written down."""
    numbers = {run_id(facts.name, each.number): each.number for each in facts.record.trials}
    mine = {each.run.run_id: each for each in folders.of_study(facts.study.uid)}
    return replace(facts, folders={numbers[name]: mine[name] for name in numbers if name in mine})
