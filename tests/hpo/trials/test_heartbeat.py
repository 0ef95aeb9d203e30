import sqlite3
from collections.abc import Callable

import pytest
from sqlalchemy.exc import OperationalError

from risexp.callbacks.run_loop import Callback, run_loop
from risexp.errors import EnvironmentFailed
from risexp.hpo.store.leases import Fenced, Lease, Leases
from risexp.hpo.store.store import StudyStore
from risexp.hpo.trials.heartbeat import Heartbeat, LeaseGuard
from risexp.runs.outcome import Outcome
from risexp.training.events import BatchEnded, Event, RunEnded
from tests.support.recorded_runs import joint
from tests.support.worker_processes import Clock, owner, until


@pytest.fixture
def leases(store: StudyStore) -> Leases:
    return Leases(store, "a-study")


@pytest.fixture
def lease(leases: Leases) -> Lease:
    taken = leases.take(1, owner(), "toy-000")
    assert taken is not None
    return taken


def expiry(leases: Leases) -> float:
    return leases.look().living[0].expires_at


def test_the_lease_is_renewed_in_the_background_and_its_loss_noticed(
    leases: Leases, lease: Lease
) -> None:
    before = expiry(leases)

    with Heartbeat(leases, lease, renew_s=0.01) as heartbeat:
        until(lambda: expiry(leases) > before)
        heartbeat.check()
        leases.end(lease, "died")
        until(lambda: heartbeat.lost)

        with pytest.raises(Fenced, match="attempt 1 has lost its lease"):
            heartbeat.check()


def test_a_worker_that_could_not_renew_for_long_asks_the_database_first(
    leases: Leases, lease: Lease
) -> None:
    """A process that was stopped knows it by the time that has passed."""
    clock = Clock()
    heartbeat = Heartbeat(leases, lease, clock=clock)
    leases.end(lease, "died")
    clock.now += 50.0
    heartbeat.check()
    assert not heartbeat.lost

    clock.now += 1.0
    with pytest.raises(Fenced):
        heartbeat.check()
    assert heartbeat.lost


def test_an_expired_lease_that_was_not_taken_is_renewed(leases: Leases, lease: Lease) -> None:
    clock = Clock()
    heartbeat = Heartbeat(leases, lease, clock=clock)
    before = expiry(leases)
    clock.now += 500.0

    heartbeat.check()

    assert expiry(leases) > before
    clock.now += 40.0
    leases.end(lease, "died")
    heartbeat.check()


class AwayLeases(Leases):
    """Leases of a database that is away; notes the patience of every call."""

    def __init__(self, store: StudyStore, limits_s: list[float]) -> None:
        super().__init__(store, "a-study")
        self._limits_s = limits_s

    def renew(self, _lease: Lease) -> bool:
        return self.store.retry(self._fail)

    def once(self) -> "AwayLeases":
        return AwayLeases(self.store.once(), self._limits_s)

    def _fail(self) -> bool:
        self._limits_s.append(self.store.retry.limit_s)
        raise OperationalError("", {}, sqlite3.OperationalError("database is locked"))


def test_a_database_that_is_away_costs_no_lease_and_no_waiting_until_it_stays_away(
    leases: Leases, lease: Lease
) -> None:
    limits_s: list[float] = []

    with Heartbeat(AwayLeases(leases.store, limits_s), lease, renew_s=0.001) as heartbeat:
        until(lambda: len(limits_s) >= 2)
        heartbeat.check()

    assert not heartbeat.lost
    assert {0.0} == set(limits_s)
    clock = Clock()
    heartbeat = Heartbeat(AwayLeases(leases.store.once(), []), lease, clock=clock)
    clock.now += 51.0
    with pytest.raises(EnvironmentFailed, match="has not answered"):
        heartbeat.check()
    assert not heartbeat.lost


def test_an_error_in_the_thread_is_raised_by_the_check(leases: Leases, lease: Lease) -> None:
    leases.renew = None  # type: ignore[assignment, method-assign]
    leases.once = lambda: leases  # type: ignore[method-assign]

    with Heartbeat(leases, lease, renew_s=0.001) as heartbeat:
        until(lambda: heartbeat.error is not None)

        with pytest.raises(TypeError):
            heartbeat.check()


class LosesLease:
    """A heartbeat whose lease is lost at an event."""

    def __init__(self, is_last: Callable[[Event], bool]) -> None:
        self.checks = 0
        self._lost = False
        self._is_last = is_last

    def __call__(self, event: Event) -> None:
        self._lost = self._lost or self._is_last(event)

    def check(self) -> None:
        self.checks += 1
        if self._lost:
            message = "attempt 1 has lost its lease"
            raise Fenced(message)


def guarded_run(heartbeat: LosesLease) -> tuple[list[Event], list[Outcome], Outcome]:
    """The events and outcomes that were written past the guard, and the run's outcome."""
    guard, events, recorded = LeaseGuard(heartbeat), list[Event](), list[Outcome]()  # type: ignore[arg-type]
    callbacks: list[Callback] = [heartbeat, guard, guard.write_guard(events.append)]
    record: Callable[[Outcome], None] = guard.write_guard(recorded.append)
    return events, recorded, run_loop(joint(3), callbacks, "toy-000", record)


def at_batch(event: Event) -> bool:
    return isinstance(event, BatchEnded) and (event.epoch, event.batch) == (2, 1)


def test_a_lost_trial_ends_at_once_and_writes_nothing_more() -> None:
    events, recorded, outcome = guarded_run(LosesLease(at_batch))
    late = guarded_run(LosesLease(lambda event: isinstance(event, RunEnded)))

    assert BatchEnded(2, 0, 4) == events[-1]
    assert [] == recorded == late[1]
    assert ("released", "fenced", 75) == (outcome.status, outcome.reason, outcome.exit_code)
    assert "attempt 1 has lost its lease" == outcome.sentence
    assert [] == [event for event in late[0] if isinstance(event, RunEnded)]


def test_a_kept_trial_is_trained_and_recorded() -> None:
    heartbeat = LosesLease(lambda _: False)

    events, recorded, outcome = guarded_run(heartbeat)

    assert [outcome] == recorded
    assert "finished" == outcome.reason
    assert isinstance(events[-1], RunEnded)
    assert len(events) - 1 < heartbeat.checks
