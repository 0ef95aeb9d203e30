import pytest
from optuna.trial import TrialState
from sqlalchemy import update

from risexp.hpo.store.leases import Leases
from risexp.hpo.store.schema import ATTEMPTS
from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.study import StudyRef
from risexp.hpo.trials.claim import Claim
from risexp.hpo.trials.queue import Queue
from risexp.hpo.trials.reaper import ReapedTrial, Reaper
from tests.support.worker_processes import draw, owner, queue_of, train, violations, work_here


@pytest.fixture
def queue(store: StudyStore, study: StudyRef) -> Queue:
    return queue_of(store, study)


@pytest.fixture
def claim(queue: Queue) -> Claim:
    """A trial whose worker is about to be gone."""
    found = queue.claim(owner())
    assert found is not None
    found.suggest(draw)
    found.report(1, 0.5)
    return found


class Timed(Leases):
    """Leases of a database whose clock goes as a test wants."""

    def pass_s(self, seconds: float) -> None:
        self._now = self._now + seconds


def expire(leases: Leases) -> None:
    """Let every living lease be over."""
    over = update(ATTEMPTS).where(ATTEMPTS.c.ended.is_(None)).values(expires_at=0.0)
    leases.store.write(lambda connection: connection.execute(over))


@pytest.fixture
def timed(store: StudyStore, study: StudyRef) -> Timed:
    return Timed(store, study.uid)


def test_a_lease_that_lasts_is_let_be(queue: Queue, study: StudyRef, claim: Claim) -> None:
    reaper = Reaper(queue.leases, study, patience_s=0.0)

    assert () == reaper.look()
    train(claim)

    assert 1 == queue.standing().complete


def test_a_trial_whose_lease_is_over_waits_again(
    store: StudyStore, study: StudyRef, queue: Queue, claim: Claim
) -> None:
    expire(queue.leases)

    found = Reaper(queue.leases, study, patience_s=0.0).look()

    assert (ReapedTrial(0, "waiting", claim.lease),) == found
    again = queue.claim(owner())
    assert again is not None
    assert (0, 2, {1: 0.5}) == (again.number, again.attempt, again.reports)
    train(again)
    work_here(store, study)
    assert [] == violations(store, study)


def test_two_reapers_give_a_trial_back_once(queue: Queue, study: StudyRef, claim: Claim) -> None:
    expire(queue.leases)
    reapers = [Reaper(queue.leases, study, patience_s=0.0) for _ in range(2)]

    assert [1, 0] == [len(reaper.look()) for reaper in reapers]
    assert 1 == queue.leases.deaths(claim.lease.trial_id)


def test_a_trial_whose_attempts_keep_dying_fails(store: StudyStore, study: StudyRef) -> None:
    queue = queue_of(store, study)
    reaper = Reaper(queue.leases, study, patience_s=0.0)
    became = []
    for _ in range(3):
        assert queue.claim(owner()) is not None
        expire(queue.leases)
        became += [(each.number, each.became) for each in reaper.look()]

    assert [(0, "waiting"), (0, "waiting"), (0, "failed")] == became
    assert "attempts" == store.storage.get_all_trials(study.id)[0].user_attrs["reason"]


def test_a_trial_that_was_finished_before_its_worker_died_stays_so(
    store: StudyStore, study: StudyRef, queue: Queue, claim: Claim
) -> None:
    store.storage.set_trial_state_values(claim.lease.trial_id, TrialState.COMPLETE, [0.5])
    expire(queue.leases)

    assert () == Reaper(queue.leases, study, patience_s=0.0).look()

    assert ["finished"] == [each.ended for each in queue.leases.attempts()]
    assert 1 == queue.standing().complete


def test_a_trial_leased_and_not_yet_running_is_given_back(
    store: StudyStore, study: StudyRef, queue: Queue
) -> None:
    first = store.storage.list_trials(study.id)[0]
    queue.leases.take(first.trial_id, owner(), "toy-000")
    expire(queue.leases)

    Reaper(queue.leases, study, patience_s=0.0).look()

    again = queue.claim(owner())
    assert again is not None
    assert (0, 2) == (again.number, again.attempt)


def test_a_worker_that_was_seen_to_end_loses_its_trial_at_once(
    queue: Queue, study: StudyRef, claim: Claim
) -> None:
    other = queue.claim(owner())
    assert other is not None

    found = Reaper(queue.leases, study).abandon(claim.lease.owner)

    assert (ReapedTrial(0, "waiting", claim.lease),) == found
    assert [other.lease] == [each.lease for each in queue.leases.look().living]


def looks(reaper: Reaper, timed: Timed, *waits_s: float) -> list[int]:
    """How many trials are given back by looks, each so long after the one before."""
    found = []
    for wait_s in waits_s:
        timed.pass_s(wait_s)
        found.append(len(reaper.look()))
    return found


def test_owners_have_time_to_renew_after_an_outage(timed: Timed, study: StudyRef) -> None:
    """All leases are over when the database is back: whoever looks first must not take them."""
    reaper = Reaper(timed, study, patience_s=10.0)
    lease = timed.take(1, owner(), "toy-000")
    assert lease is not None

    assert [0, 0, 0] == looks(reaper, timed, 0.0, 100.0, 9.0)
    timed.renew(lease)

    assert [0, 0] == looks(reaper, timed, 2.0, 10.0)
    assert [lease] == [each.lease for each in timed.look().living]


def test_a_lease_that_nobody_renews_is_taken_when_it_is_over(timed: Timed, study: StudyRef) -> None:
    """Whoever has looked all the while need not wait longer."""
    reaper = Reaper(timed, study, patience_s=10.0)
    store = timed.store
    timed.take(store.storage.list_trials(study.id)[0].trial_id, owner(), "toy-000")

    assert [0, 0, 0, 1] == looks(reaper, timed, 0.0, 29.0, 29.0, 3.0)


def test_whoever_comes_later_takes_it_after_its_patience(timed: Timed, study: StudyRef) -> None:
    store = timed.store
    timed.take(store.storage.list_trials(study.id)[0].trial_id, owner(), "toy-000")
    timed.pass_s(500.0)
    reaper = Reaper(timed, study, patience_s=10.0)

    assert [0, 0, 0, 1] == looks(reaper, timed, 0.0, 5.0, 4.0, 2.0)


def test_a_clock_that_jumps_takes_no_lease(timed: Timed, study: StudyRef) -> None:
    reaper = Reaper(timed, study, patience_s=10.0)
    timed.take(1, owner(), "toy-000")

    assert [0] * 6 == looks(reaper, timed, 0.0, 11.0, 90.0, -95.0, 1000.0, 9.0)


def test_a_lease_that_is_renewed_is_never_taken(timed: Timed, study: StudyRef) -> None:
    reaper = Reaper(timed, study, patience_s=10.0)
    lease = timed.take(1, owner(), "toy-000")
    assert lease is not None

    for _ in range(20):
        assert [0, 0] == looks(reaper, timed, 5.0, 5.0)
        timed.renew(lease)


def test_a_trial_that_runs_without_a_lease_is_given_back_after_two_leases_time(
    timed: Timed, study: StudyRef
) -> None:
    """Somebody else's tool has set it running."""
    storage = timed.store.storage
    first = storage.list_trials(study.id)[0]
    storage.set_trial_state_values(first.trial_id, TrialState.RUNNING)
    reaper = Reaper(timed, study, patience_s=10.0)

    assert [0, 0, 0, 0, 0, 1] == looks(reaper, timed, 0.0, 29.0, 29.0, 29.0, 29.0, 5.0)

    assert ["nobody"] == [each.lease.owner for each in timed.attempts(first.trial_id)]
    assert TrialState.WAITING == storage.list_trials(study.id)[0].state


def test_a_trial_that_a_dead_reaper_buried_is_given_back(
    timed: Timed, study: StudyRef, claim: Claim
) -> None:
    timed.end(claim.lease, "died")
    reaper = Reaper(timed, study)

    assert [0, 1] == looks(reaper, timed, 0.0, 61.0)
    assert TrialState.WAITING == timed.store.storage.list_trials(study.id)[0].state
