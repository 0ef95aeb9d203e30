"""A worker dies at every point of the protocol: nothing is lost, and nothing is done twice."""

import pytest
from optuna.trial import TrialState

from risexp.core.failpoint import POINTS, Point
from risexp.hpo.store.leases import LeaseOwner
from risexp.hpo.trials.reaper import Reaper
from tests.support.worker_processes import (
    ON_BOTH,
    Died,
    FailPoints,
    bury_all,
    draw,
    exit_codes,
    opened,
    owner,
    queue_of,
    start,
    states,
    toy_study,
    train,
    violations,
    work_here,
)

MAKING = ("store.foreign", "store.own")
"""Points that a store passes only once; `test_store` covers them."""


def live(url: str, me: LeaseOwner) -> None:
    """Pass every point: open, train, release, and reap."""
    with opened(url) as store:
        study = toy_study(store, 3)
        queue = queue_of(store, study)
        for number in (0, 1):
            claim = queue.claim(me)
            assert claim is not None
            assert number == claim.number
            if number == 0:
                train(claim)
            else:
                claim.suggest(draw)
                claim.report(1, 0.5)
                claim.release()
        gone = queue_of(store, study, ttl_s=0.0)
        for most_deaths in (3, 1):
            assert gone.claim(owner()) is not None
            Reaper(gone.leases, study, patience_s=0.0, most_deaths=most_deaths).look()
        stray = store.storage.list_trials(study.id, (TrialState.WAITING,))[0]
        store.storage.set_trial_state_values(stray.trial_id, TrialState.RUNNING)
        Reaper(queue.leases, study).look()


def expect_complete(url: str, failed: int) -> None:
    """Expect that other workers finish the study, in which so many trials have failed."""
    with opened(url) as store:
        study = toy_study(store, 3)
        bury_all(store, study)
        work_here(store, study)
        assert [] == violations(store, study)
        assert ["complete"] * (3 - failed) + ["failed"] * failed == sorted(states(store, study))


@pytest.mark.fault("F2")
@pytest.mark.parametrize("point", [each for each in POINTS if each not in MAKING])
def test_a_death_at_any_point_costs_nothing(
    url: str, point: Point, fail_points: FailPoints
) -> None:
    fail_points.die_at(point)

    with pytest.raises(Died):
        live(url, owner())

    # Only the worker that came that far has used up the attempts at a trial.
    expect_complete(url, failed=1 if point == "reap.adopted" else 0)


@pytest.mark.fault("F2")
@ON_BOTH
def test_a_process_that_is_killed_after_every_point_costs_nothing(url: str) -> None:
    assert [-9] == exit_codes(start(live, url, owner(), crash="reap.adopted"))

    expect_complete(url, failed=1)
