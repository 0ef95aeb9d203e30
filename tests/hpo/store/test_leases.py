import pytest

from risexp.hpo.store.leases import Fenced, Lease, Leases
from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.study import StudyRef
from tests.support.worker_processes import ON_BOTH, owner, toy_study, work_here

pytestmark = ON_BOTH

ONE = 1
"""Id of a trial; leases do not check that it exists."""


@pytest.fixture
def leases(store: StudyStore) -> Leases:
    return Leases(store, "a-study")


def lasting(leases: Leases, ttl_s: float) -> Leases:
    """The same leases with another duration."""
    return Leases(leases.store, "a-study", ttl_s)


def taken(leases: Leases) -> Lease:
    lease = leases.take(ONE, owner(), "toy-000")
    assert lease is not None
    return lease


def test_a_trial_is_taken_once_or_again_by_its_owner(leases: Leases) -> None:
    """The first answer may have been lost."""
    me = owner()

    first = leases.take(ONE, me, "toy-000")

    assert first is not None
    assert (1, first) == (first.attempt, leases.take(ONE, me, "toy-000"))
    assert leases.take(ONE, owner(), "toy-000") is None
    assert 1 == len(leases.attempts(ONE))


def test_attempts_are_counted_and_remembered(leases: Leases) -> None:
    for end in ("released", "died", "finished"):
        assert leases.end(taken(leases), end)

    attempts = leases.attempts(ONE)

    assert [1, 2, 3] == [each.lease.attempt for each in attempts]
    assert ["released", "died", "finished"] == [each.ended for each in attempts]
    assert all(each.ended_at is not None for each in attempts)


def test_a_lease_names_its_owner_and_keeps_parameters(leases: Leases) -> None:
    me = owner("cuda:1")
    parameters = {"count.kind": "slots", "lr": 1e-3, "k": 3, "off": None}
    lease = leases.take(ONE, me, "toy-000")
    assert lease is not None

    assert leases.record(lease, parameters)

    (attempt,) = leases.look().living
    assert (me.id, me.host, me.pid, "cuda:1", "toy-000") == (
        attempt.lease.owner,
        attempt.host,
        attempt.pid,
        attempt.device,
        attempt.run_id,
    )
    assert parameters == attempt.parameters


def test_studies_do_not_share_leases(leases: Leases) -> None:
    leases.end(taken(leases), "died")
    taken(leases)
    another = Leases(leases.store, "another")
    assert [] == another.attempts(ONE)

    lease = another.take(ONE, owner(), "toy-000")

    assert lease is not None
    assert 1 == lease.attempt
    assert [2] == [each.lease.attempt for each in leases.look().living]


def test_an_expired_lease_is_renewed_by_the_databases_clock(leases: Leases) -> None:
    lease = taken(lasting(leases, 0.0))
    look = leases.look()
    assert look.living[0].expires_at <= look.now

    assert leases.renew(lease)

    look = leases.look()
    assert 59.0 < look.living[0].expires_at - look.now <= 60.0
    assert not leases.bury(lease)


def test_only_the_owner_of_a_living_lease_renews_and_ends_it(leases: Leases) -> None:
    lease = taken(leases)
    for other in (Lease(ONE, lease.attempt, "another"), Lease(ONE, 2, lease.owner)):
        assert not leases.renew(other)
    assert leases.renew(lease)
    leases.end(lease, "died")
    taken(leases)

    assert not leases.renew(lease)
    assert not leases.end(lease, "finished")
    assert not leases.record(lease, {"x": 1})
    with pytest.raises(Fenced, match="attempt 1 at trial id 1 has lost its lease"):
        leases.assure(lease)


def test_only_a_lease_that_is_nearly_over_is_renewed_to_be_sure(leases: Leases) -> None:
    lease = taken(leases)
    before = leases.look().living
    leases.assure(lease)
    assert before == leases.look().living

    lasting(leases, 29.0).renew(lease)
    leases.assure(lease)

    look = leases.look()
    assert look.living[0].expires_at - look.now > 59.0


def test_only_an_expired_lease_is_buried_and_by_one_caller(leases: Leases) -> None:
    lease = taken(leases)
    assert not leases.bury(lease)
    assert lasting(leases, 0.0).renew(lease)

    assert [True, False] == [leases.bury(lease, "lost"), leases.bury(lease, "died")]
    assert ["lost"] == [each.ended for each in leases.attempts(ONE)]


def test_a_deleted_studys_attempts_are_not_those_of_the_next_with_its_ids(
    store: StudyStore, study: StudyRef
) -> None:
    work_here(store, study)
    store.storage.delete_study(study.id)

    again = toy_study(store, 4)

    assert [] == Leases(store, again.uid).attempts()
