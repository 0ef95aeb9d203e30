"""Who works on a trial: one living attempt, for as long as its lease is renewed."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from sqlalchemy import ColumnElement, Connection, Insert, Row, and_, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from risexp.errors import RisexpError
from risexp.hpo.store.schema import ATTEMPTS, STAMP, database_clock
from risexp.hpo.store.store import StudyStore

TTL_S: Final = 60.0
"""How long a lease lasts that nobody renews."""
RENEW_S: Final = 10.0
"""How often one is renewed."""

End = Literal["finished", "released", "died", "hung", "void"]
"""Of an attempt; a void one found its trial finished before it began."""
DEADLY: Final[tuple[End, ...]] = ("died", "hung")
"""Ends of which a trial survives only a few."""
USED_UP: Final = "attempts"
"""Reason of a trial that failed because too many attempts at it died."""
HANGING: Final = "hung"
"""Reason of a trial whose attempts all hung; also of one that waits after such an attempt."""


class Fenced(RisexpError):
    """Somebody else has the trial: whoever is told this stops at once and writes nothing more."""

    exit_code = 75


@dataclass(frozen=True)
class LeaseOwner:
    """A worker, as a lease names it."""

    id: str
    """Its own and no other's, in all time."""
    host: str
    pid: int
    device: str = "cpu"


@dataclass(frozen=True)
class Lease:
    """The right to write a trial."""

    trial_id: int
    attempt: int
    """Counted from 1."""
    owner: str


@dataclass(frozen=True)
class Attempt:
    """One attempt at a trial, as it stands in the table."""

    lease: Lease
    host: str
    pid: int
    device: str
    run_id: str
    began_at: float
    expires_at: float
    ended_at: float | None
    ended: End | None
    """None while it lives."""
    parameters: Mapping[str, Any] | None
    """What was tried; None where it ended before that was known."""


@dataclass(frozen=True)
class LeaseSnapshot:
    """All living attempts at one moment of the database's clock."""

    now: float
    living: tuple[Attempt, ...]


class Leases:
    """The leases of one study."""

    def __init__(self, store: StudyStore, study: str, ttl_s: float = TTL_S) -> None:
        self.store = store
        self.ttl_s = ttl_s
        self._study = study
        self._now = database_clock(store.engine)

    def once(self) -> "Leases":
        """The same, asking once: for a thread that comes again anyway."""
        return Leases(self.store.once(), self._study, self.ttl_s)

    def take(
        self, trial_id: int, owner: LeaseOwner, run_id: str, lasting_s: float | None = None
    ) -> Lease | None:
        """Begin an attempt; None where another one lives."""
        attempt = (
            select(func.coalesce(func.max(ATTEMPTS.c.attempt), 0) + 1)
            .where(self._of(trial_id))
            .scalar_subquery()
        )
        values = {
            "study": self._study,
            "trial_id": trial_id,
            "attempt": attempt,
            "owner": owner.id,
            "host": owner.host,
            "pid": owner.pid,
            "device": owner.device,
            "run_id": run_id,
            "began_at": self._now,
            "expires_at": self._now + (self.ttl_s if lasting_s is None else lasting_s),
        }
        wanted = self._unless_taken(values)

        def change(connection: Connection) -> Lease | None:
            connection.execute(wanted)
            # It is ours too where an earlier answer to the same call was lost.
            living = select(ATTEMPTS.c.attempt).where(
                self._of(trial_id), ATTEMPTS.c.ended.is_(None), ATTEMPTS.c.owner == owner.id
            )
            found = connection.execute(living).scalar_one_or_none()
            return None if found is None else Lease(trial_id, found, owner.id)

        return self.store.write(change)

    def renew(self, lease: Lease) -> bool:
        """Let it last again; false where it is no longer ours."""
        return self._change(lease, expires_at=self._now + self.ttl_s)

    def assure(self, lease: Lease) -> None:
        """Make sure, before a write, that nobody takes the trial for half a lease's time.

        Raises:
            Fenced: Somebody has taken it.
        """
        left = select(ATTEMPTS.c.expires_at - self._now).where(self._living(lease))
        found = self.store.write(lambda connection: connection.execute(left).scalar_one_or_none())
        sure = found is not None and found > self.ttl_s / 2.0
        if not sure and not self.renew(lease):
            raise Fenced(
                f"attempt {lease.attempt} at trial id {lease.trial_id} has lost its lease: another "
                "worker goes on with it"
            )

    def record(self, lease: Lease, parameters: Mapping[str, Any]) -> bool:
        """Keep what this attempt tries, to be compared with the others."""
        return self._change(lease, parameters=json.dumps(parameters, sort_keys=True))

    def end(self, lease: Lease, how: End) -> bool:
        """End the attempt; false where it had ended."""
        return self._change(lease, ended=how, ended_at=self._now)

    def bury(self, lease: Lease, how: End = "died") -> bool:
        """End an attempt whose lease is over; true for one of all who try."""
        return self._change(
            lease, ATTEMPTS.c.expires_at <= self._now, ended=how, ended_at=self._now
        )

    def look(self) -> LeaseSnapshot:
        """All living attempts, in a database that takes writes: owners could have renewed them."""

        def change(connection: Connection) -> LeaseSnapshot:
            connection.execute(update(STAMP).values(touched_at=self._now))
            now = connection.execute(select(STAMP.c.touched_at)).scalar_one()
            living = select(ATTEMPTS).where(
                ATTEMPTS.c.study == self._study, ATTEMPTS.c.ended.is_(None)
            )
            return LeaseSnapshot(now, tuple(map(_attempt, connection.execute(living))))

        return self.store.write(change)

    def over(self, owners: Collection[str]) -> set[str]:
        """Those of some owners whose last lease was lost; nothing is written to say so."""
        theirs = and_(ATTEMPTS.c.study == self._study, ATTEMPTS.c.owner.in_(owners))
        last = select(ATTEMPTS.c.owner, func.max(ATTEMPTS.c.began_at).label("began_at"))
        newest = last.where(theirs).group_by(ATTEMPTS.c.owner).subquery()
        wanted = select(ATTEMPTS.c.owner).where(
            theirs,
            ATTEMPTS.c.owner == newest.c.owner,
            ATTEMPTS.c.began_at == newest.c.began_at,
            ATTEMPTS.c.expires_at <= self._now,
            or_(ATTEMPTS.c.ended.is_(None), ATTEMPTS.c.ended == "died"),
        )
        return self.store.write(lambda connection: set(connection.execute(wanted).scalars()))

    def attempts(self, trial_id: int | None = None) -> list[Attempt]:
        """All attempts at a trial, or at every one, in their order."""
        of = ATTEMPTS.c.study == self._study if trial_id is None else self._of(trial_id)
        wanted = select(ATTEMPTS).where(of).order_by(ATTEMPTS.c.trial_id, ATTEMPTS.c.attempt)
        return self.store.write(lambda connection: [*map(_attempt, connection.execute(wanted))])

    def deaths(self, trial_id: int) -> int:
        """Attempts at a trial that died or hung."""
        wanted = (
            select(func.count())
            .select_from(ATTEMPTS)
            .where(self._of(trial_id), ATTEMPTS.c.ended.in_(DEADLY))
        )
        return self.store.write(lambda connection: connection.execute(wanted).scalar_one())

    def _of(self, trial_id: int) -> ColumnElement[bool]:
        return and_(ATTEMPTS.c.study == self._study, ATTEMPTS.c.trial_id == trial_id)

    def _unless_taken(self, values: Mapping[str, Any]) -> Insert:
        if self.store.engine.dialect.name == "sqlite":
            return sqlite.insert(ATTEMPTS).values(values).on_conflict_do_nothing()
        return postgresql.insert(ATTEMPTS).values(values).on_conflict_do_nothing()

    def _living(self, lease: Lease) -> ColumnElement[bool]:
        return and_(
            self._of(lease.trial_id),
            ATTEMPTS.c.attempt == lease.attempt,
            ATTEMPTS.c.owner == lease.owner,
            ATTEMPTS.c.ended.is_(None),
        )

    def _change(self, lease: Lease, *conditions: ColumnElement[bool], **values: object) -> bool:
        """Compare and swap: only a living attempt of this very owner is changed."""
        wanted = update(ATTEMPTS).where(self._living(lease), *conditions).values(**values)
        return self.store.write(lambda connection: connection.execute(wanted).rowcount == 1)


def _attempt(row: Row[Any]) -> Attempt:
    return Attempt(
        lease=Lease(row.trial_id, row.attempt, row.owner),
        host=row.host,
        pid=row.pid,
        device=row.device,
        run_id=row.run_id,
        began_at=row.began_at,
        expires_at=row.expires_at,
        ended_at=row.ended_at,
        ended=row.ended,
        parameters=None if row.parameters is None else json.loads(row.parameters),
    )
