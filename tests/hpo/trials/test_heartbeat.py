import sqlite3

import pytest
from sqlalchemy.exc import OperationalError

from risexp.errors import EnvironmentFailed
from risexp.hpo.store.leases import Fenced, Lease, Leases
from risexp.hpo.store.store import StudyStore
from risexp.hpo.trials.heartbeat import Heartbeat, uptime
from tests.support.worker_processes import owner, until


class Clock:
    """Time that passes when a test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


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


def test_it_renews_the_lease_while_it_is_entered(leases: Leases, lease: Lease) -> None:
    before = expiry(leases)

    with Heartbeat(leases, lease, renew_s=0.01):
        until(lambda: expiry(leases) > before)


def test_a_lease_that_is_lost_is_noticed_beside_the_training(leases: Leases, lease: Lease) -> None:
    with Heartbeat(leases, lease, renew_s=0.01) as keeper:
        keeper.check()
        leases.end(lease, "died")
        until(lambda: keeper.lost)

        with pytest.raises(Fenced, match="attempt 1 has lost its lease"):
            keeper.check()


def test_who_could_not_renew_for_long_asks_before_it_goes_on(leases: Leases, lease: Lease) -> None:
    """A process that was stopped and goes on knows it by the time that has passed."""
    clock = Clock()
    keeper = Heartbeat(leases, lease, clock=clock)
    leases.end(lease, "died")
    clock.now = 50.0
    keeper.check()
    assert not keeper.lost

    clock.now = 51.0
    with pytest.raises(Fenced):
        keeper.check()
    assert keeper.lost


def test_a_lease_nobody_took_is_had_again_after_an_outage(leases: Leases, lease: Lease) -> None:
    clock = Clock()
    keeper = Heartbeat(leases, lease, clock=clock)
    before = expiry(leases)
    clock.now = 500.0

    keeper.check()

    assert expiry(leases) > before
    clock.now = 540.0
    leases.end(lease, "died")
    keeper.check()


class Away(Leases):
    """Leases of a database that is away."""

    def __init__(self, store: StudyStore, asked: list[float]) -> None:
        super().__init__(store, "a-study")
        self._asked = asked

    def renew(self, _lease: Lease) -> bool:
        return self.store.retry(self._fail)

    def once(self) -> "Away":
        return Away(self.store.once(), self._asked)

    def _fail(self) -> bool:
        self._asked.append(self.store.retry.limit_s)
        raise OperationalError("", {}, sqlite3.OperationalError("database is locked"))


def test_a_database_that_is_away_costs_no_lease(leases: Leases, lease: Lease) -> None:
    """And whoever is done need not wait for it: its thread asks once, and comes again."""
    asked: list[float] = []

    with Heartbeat(Away(leases.store, asked), lease, renew_s=0.001) as keeper:
        until(lambda: len(asked) >= 2)
        keeper.check()

    assert not keeper.lost
    assert {0.0} == set(asked)


def test_a_fault_in_the_thread_is_raised_where_it_is_asked(leases: Leases, lease: Lease) -> None:
    leases.renew = None  # type: ignore[assignment, method-assign]
    broken = leases
    broken.once = lambda: leases  # type: ignore[method-assign]

    with Heartbeat(broken, lease, renew_s=0.001) as keeper:
        until(lambda: raises(keeper))


def raises(keeper: Heartbeat) -> bool:
    try:
        keeper.check()
    except TypeError:
        return True
    return False


def test_a_database_that_stays_away_ends_the_training(leases: Leases, lease: Lease) -> None:
    clock = Clock()
    keeper = Heartbeat(Away(leases.store.once(), []), lease, clock=clock)
    clock.now = 51.0

    with pytest.raises(EnvironmentFailed, match="has not answered"):
        keeper.check()

    assert not keeper.lost


def test_the_clock_goes_on_forward() -> None:
    assert uptime() <= uptime()
