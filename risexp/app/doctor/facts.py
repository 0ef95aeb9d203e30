"""One study as database and folders tell it, at one moment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from sqlalchemy import select

from risexp.app.doctor.folders import Folders, Seen
from risexp.hpo.store.leases import DEADLY, TTL_S, Attempt, Leases
from risexp.hpo.store.schema import database_clock
from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.study import End, StudyRef, end_of, run_id
from risexp.hpo.trials.invariants import FINAL, StudySnapshot
from risexp.hpo.trials.reaper import NOBODY
from risexp.hpo.trials.snapshot import study_snapshot


@dataclass(frozen=True)
class StudyStatus:
    """All that is known of a study but for its runs in MLflow."""

    study: StudyRef
    record: StudySnapshot
    end: End | None
    now: float
    """By the clock of its database, before anything else was read."""
    attempts: Mapping[int, Sequence[Attempt]]
    """At each trial that was begun, surplus ones included, by its number and in their order."""
    folders: Mapping[int, Seen] = field(default_factory=dict)
    """Of its trials, where they are in this home."""

    @property
    def name(self) -> str:
        """Of the study."""
        return self.study.name

    @cached_property
    def living(self) -> Mapping[int, Attempt]:
        """Attempts whose lease lasts, by their trial's number."""
        return {number: last for number, last in self._begun.items() if last.expires_at > self.now}

    @cached_property
    def expired(self) -> Mapping[int, Attempt]:
        """Attempts whose lease is over, and that nobody has ended."""
        return {number: last for number, last in self._begun.items() if last.expires_at <= self.now}

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
        """Trials that wait, and no end of the study is written."""
        waiting = (each for each in self.record.trials if each.state == "waiting" and not each.held)
        return () if self.end is not None else tuple(each.number for each in waiting)

    @cached_property
    def returning(self) -> Mapping[int, float]:
        """Seconds until trials that run without a worker may wait again, as it was arranged."""
        found = {
            number: each.expires_at - self.now
            for number, each in self.living.items()
            if each.lease.owner == NOBODY.id
        }
        running = {each.number for each in self.record.trials if each.state == "running"}
        last = {number: self.attempts[number][-1] for number in running & self.attempts.keys()}
        return found | {
            number: each.ended_at + TTL_S - self.now
            for number, each in last.items()
            if each.ended in DEADLY and each.ended_at is not None
            if each.ended_at + TTL_S > self.now
        }

    @cached_property
    def orphans(self) -> tuple[int, ...]:
        """Trials that run without a lease, and nobody sees to it."""
        running = (each.number for each in self.record.trials if each.state == "running")
        held = {*self._begun, *self.returning}
        return tuple(number for number in running if number not in held)

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

    @cached_property
    def untold(self) -> frozenset[int]:
        """Trials that have come to their end, and whose folder does not say so."""
        return frozenset(
            each.number
            for each in self.record.trials
            if each.state in FINAL
            and each.number in self.folders
            and self.folders[each.number].begun
            and self.folders[each.number].ending is None
        )

    @cached_property
    def _begun(self) -> Mapping[int, Attempt]:
        return {
            number: each[-1] for number, each in self.attempts.items() if each[-1].ended is None
        }


def study_facts(store: StudyStore, study: StudyRef) -> StudyStatus:
    """A study as its database tells it, without its folders."""
    clock = select(database_clock(store.engine))
    now = store.write(lambda connection: connection.execute(clock).scalar_one())
    # After the clock: who renews meanwhile is seen alive.
    attempts = Leases(store, study.uid).attempts()
    record, end = study_snapshot(store, study, attempts), end_of(store, study)
    by_number = dict[int, list[Attempt]]()
    ids = {each.trial_id: each.number for each in store.storage.list_trials(study.id)}
    for attempt in attempts:
        if attempt.lease.trial_id in ids:
            by_number.setdefault(ids[attempt.lease.trial_id], []).append(attempt)
    return StudyStatus(study, record, end, now, by_number)


def in_folders(facts: StudyStatus, folders: Folders) -> StudyStatus:
    """The same with its folders, which were looked at later: what is final was written down."""
    numbers = {run_id(facts.name, each.number): each.number for each in facts.record.trials}
    mine = {each.run.run_id: each for each in folders.of_study(facts.study.uid)}
    return replace(facts, folders={numbers[name]: mine[name] for name in numbers if name in mine})
