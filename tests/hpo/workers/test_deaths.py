"""A worker dies at every point of the protocol: nothing is lost, and nothing is done twice."""

import pytest
from optuna.trial import TrialState

from risexp.core.failpoint import POINTS, Point
from risexp.hpo.store.leases import LeaseOwner
from risexp.hpo.store.store import open_store
from risexp.hpo.studies.study import find_study, open_study
from risexp.hpo.trials.reaper import Reaper
from risexp.hpo.trials.snapshot import study_snapshot
from tests.support.worker_processes import (
    NAME,
    ON_BOTH,
    bury_all,
    draw,
    exit_codes,
    opened,
    owner,
    plan,
    queue_of,
    start,
    train,
    violations,
    work_here,
)

MAKING = ("store.foreign", "store.own")
"""Points that a store passes only once; `test_store` covers them."""


def live(url: str, me: LeaseOwner) -> None:
    """Pass every point: open, train, release, and reap."""
    store = open_store(url)
    study = open_study(store, plan(5))
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


@pytest.mark.parametrize("point", [each for each in POINTS if each not in MAKING])
def test_a_death_at_any_point_costs_nothing(url: str, point: Point) -> None:
    assert [-9] == exit_codes(start(live, url, owner(), crash=point))

    with opened(url) as store:
        study = open_study(store, plan(5))
        bury_all(store, study)
        work_here(store, study)
        assert [] == violations(store, study)
        states = [each.state for each in study_snapshot(store, study).trials]
        # Only the process that came that far has used up the attempts at a trial.
        failed = 1 if point == "reap.adopted" else 0
        assert ["complete"] * (5 - failed) + ["failed"] * failed == sorted(states)


@ON_BOTH
def test_an_undisturbed_process_passes_every_point(url: str) -> None:
    assert [0] == exit_codes(start(live, url, owner()))

    with opened(url) as store:
        study = find_study(store, NAME)
        bury_all(store, study)
        work_here(store, study)
        assert [] == violations(store, study)
