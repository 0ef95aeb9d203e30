"""Leases of trials: one living attempt at a trial, for as long as its lease is renewed."""

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
"""How long a lease lasts without being renewed."""
RENEW_S: Final = 10.0
"""Time between two renewals."""

End = Literal["finished", "released", "environment", "preempted", "died", "hung", "lost", "void"]
"""How an attempt ended.

`released` by a signal, given back because the `environment` failed, `preempted` by an engine,
`died` or `hung` on a host that lived on, or `lost` with its lease, perhaps with its host. The trial
of a `void` one was finished before it began.
"""
DEADLY: Final[tuple[End, ...]] = ("died", "hung")
"""Ends that the trial itself may have caused; it survives only a few of them."""
USED_UP: Final = "attempts"
"""Reason of a trial that failed because too many attempts at it died."""
HANGING: Final = "hung"
"""Reason of a trial whose attempts all hung; also of one that waits after such an attempt."""


class Fenced(RisexpError):
    """Another worker has the trial: stop at once and write nothing more."""

    exit_code = 75


@dataclass(frozen=True)
class LeaseOwner:
    """A worker that holds leases."""

    id: str
    """Unique for all time."""
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
    """One row of the table of attempts."""

    lease: Lease
    host: str
    pid: int
    device: str
    run_id: str
    began_at: float
    expires_at: float
    ended_at: float | None
    ended: End | None
    """None while the attempt lives."""
    parameters: Mapping[str, Any] | None
    """Its parameters; None if it ended before they were recorded."""


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
        """The same without retries: for a thread that repeats its calls anyway."""
        return Leases(self.store.once(), self._study, self.ttl_s)

    def take(
        self, trial_id: int, owner: LeaseOwner, run_id: str, lasting_s: float | None = None
    ) -> Lease | None:
        """Begin an attempt; None if another one lives."""
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
        statement = self._unless_taken(values)

        def change(connection: Connection) -> Lease | None:
            connection.execute(statement)
            # The lease is ours too if an earlier answer to the same call was lost.
            living = select(ATTEMPTS.c.attempt).where(
                self._of(trial_id), ATTEMPTS.c.ended.is_(None), ATTEMPTS.c.owner == owner.id
            )
            number = connection.execute(living).scalar_one_or_none()
            return None if number is None else Lease(trial_id, number, owner.id)

        return self.store.write(change)

    def renew(self, lease: Lease) -> bool:
        """Renew a lease; false if it is no longer ours."""
        return self._change(lease, expires_at=self._now + self.ttl_s)

    def assure(self, lease: Lease) -> None:
        """Make sure, before a write, that the lease lasts for half its time.

        Raises:
            Fenced: Another worker has the trial.
        """
        left = select(ATTEMPTS.c.expires_at - self._now).where(self._living(lease))
        left_s = self.store.write(lambda connection: connection.execute(left).scalar_one_or_none())
        sure = left_s is not None and left_s > self.ttl_s / 2.0
        if not sure and not self.renew(lease):
            raise Fenced(
                f"attempt {lease.attempt} at trial id {lease.trial_id} has lost its lease: another "
                "worker goes on with it"
            )

    def record(self, lease: Lease, parameters: Mapping[str, Any]) -> bool:
        """Record the parameters of this attempt, to be compared with those of others."""
        return self._change(lease, parameters=json.dumps(parameters, sort_keys=True))

    def end(self, lease: Lease, how: End) -> bool:
        """End an attempt; false if it had ended before."""
        return self._change(lease, ended=how, ended_at=self._now)

    def bury(self, lease: Lease, how: End = "died") -> bool:
        """End an attempt whose lease has expired; true for only one of all callers."""
        return self._change(
            lease, ATTEMPTS.c.expires_at <= self._now, ended=how, ended_at=self._now
        )

    def look(self) -> LeaseSnapshot:
        """All living attempts; also proves that the database accepts writes, hence renewals."""

        def change(connection: Connection) -> LeaseSnapshot:
            connection.execute(update(STAMP).values(touched_at=self._now))
            now = connection.execute(select(STAMP.c.touched_at)).scalar_one()
            living = select(ATTEMPTS).where(
                ATTEMPTS.c.study == self._study, ATTEMPTS.c.ended.is_(None)
            )
            return LeaseSnapshot(now, tuple(map(_attempt, connection.execute(living))))

        return self.store.write(change)

    def over(self, owners: Collection[str]) -> set[str]:
        """The owners, out of these, whose last lease was lost; only reads."""
        theirs = and_(ATTEMPTS.c.study == self._study, ATTEMPTS.c.owner.in_(owners))
        last = select(ATTEMPTS.c.owner, func.max(ATTEMPTS.c.began_at).label("began_at"))
        newest = last.where(theirs).group_by(ATTEMPTS.c.owner).subquery()
        query = select(ATTEMPTS.c.owner).where(
            theirs,
            ATTEMPTS.c.owner == newest.c.owner,
            ATTEMPTS.c.began_at == newest.c.began_at,
            ATTEMPTS.c.expires_at <= self._now,
            or_(ATTEMPTS.c.ended.is_(None), ATTEMPTS.c.ended.in_(("died", "hung", "lost"))),
        )
        return self.store.write(lambda connection: set(connection.execute(query).scalars()))

    def attempts(self, trial_id: int | None = None) -> list[Attempt]:
        """All attempts at one trial or at all trials, in their order."""
        of = ATTEMPTS.c.study == self._study if trial_id is None else self._of(trial_id)
        query = select(ATTEMPTS).where(of).order_by(ATTEMPTS.c.trial_id, ATTEMPTS.c.attempt)
        return self.store.write(lambda connection: [*map(_attempt, connection.execute(query))])

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
        """Compare and swap: changes only a living attempt of this owner."""
        statement = update(ATTEMPTS).where(self._living(lease), *conditions).values(**values)
        return self.store.write(lambda connection: connection.execute(statement).rowcount == 1)


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
