"""Many workers at once, some of which are killed: every trial is done, and done once."""

import random
import secrets
from multiprocessing.context import ForkServerProcess

import pytest

from risexp.hpo.store.leases import TTL_S
from risexp.hpo.trials.reaper import Reaper
from tests.support.worker_processes import (
    begun,
    exit_codes,
    opened,
    owner,
    queue_of,
    start,
    states,
    toy_study,
    until,
    violations,
    work,
)


def test_three_workers_do_twenty_trials_once(url: str) -> None:
    with opened(url) as store:
        study = toy_study(store, 20)
        owners = [owner() for _ in range(3)]

        processes = [start(work, url, each, TTL_S, 0.0) for each in owners]

        assert [0] * 3 == exit_codes(*processes, limit_s=100.0)
        assert [] == violations(store, study)
        attempts = begun(store, study)
        assert [*range(20)] == sorted(int(each.run_id.removeprefix("toy-")) for each in attempts)
        assert ["complete"] * 20 == states(store, study)
        assert {each.id for each in owners} >= {each.lease.owner for each in attempts}


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("trials", "workers", "deaths", "ttl_s", "seen"),
    [
        pytest.param(60, 4, 20, 2.0, False, id="machines are lost, and leases have to expire"),
        pytest.param(120, 8, 60, TTL_S, True, id="a supervisor sees each death"),
    ],
)
def test_a_long_storm_loses_no_trial(
    url: str, trials: int, workers: int, deaths: int, ttl_s: float, seen: bool
) -> None:
    alive: dict[str, ForkServerProcess] = {}
    source = random.Random(secrets.randbits(32))  # noqa: S311 - not for secrets

    def employ() -> None:
        me = owner()
        alive[me.id] = start(work, url, me, ttl_s, 0.02)

    with opened(url) as store:
        study = toy_study(store, trials)
        leases = queue_of(store, study, ttl_s).leases
        reaper = Reaper(leases, study, most_deaths=10**6)
        for _ in range(workers):
            employ()

        def kill_one() -> bool:
            """Kill a worker that has begun a trial, and start another; false if none has."""
            owners = [each.lease.owner for each in leases.look().living if each.parameters]
            if not (busy := [each for each in owners if each in alive]):
                return False
            victim = source.choice(busy)
            process = alive.pop(victim)
            process.kill()
            process.join()
            if seen:
                reaper.abandon(victim)
            employ()
            return True

        for _ in range(deaths):
            until(kill_one)

        assert [0] * workers == exit_codes(*alive.values(), limit_s=200.0)
        assert [] == violations(store, study)
        assert ["complete"] * trials == states(store, study)
        attempts = begun(store, study)
        assert trials <= len(attempts) <= trials + deaths
        assert trials == len({each.lease.trial_id for each in attempts if each.ended == "finished"})
