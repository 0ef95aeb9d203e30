"""Many workers at once, some of which are killed: every trial is done, and done once."""

import random
import secrets
from multiprocessing.context import ForkServerProcess

import pytest

from risexp.hpo.store.leases import TTL_S
from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.study import StudyRef
from risexp.hpo.trials.reaper import Reaper
from risexp.hpo.trials.snapshot import study_snapshot
from tests.support.worker_processes import (
    begun,
    exit_codes,
    opened,
    owner,
    queue_of,
    start,
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
        assert {"complete"} == {each.state for each in study_snapshot(store, study).trials}
        assert {each.id for each in owners} >= {each.lease.owner for each in attempts}


class Storm:
    """Kills workers and starts others, as a supervisor that sees them end."""

    def __init__(
        self, store: StudyStore, study: StudyRef, workers: int, ttl_s: float = TTL_S
    ) -> None:
        self._store = store
        self._leases = queue_of(store, study, ttl_s).leases
        self._reaper = Reaper(self._leases, study, most_deaths=10**6)
        self._ttl_s = ttl_s
        self._pace_s = 0.02
        self._alive: dict[str, ForkServerProcess] = {}
        for _ in range(workers):
            self._start()

    def kill(self, *, seen: bool) -> bool:
        """Kill a worker that has begun a trial; false if none has.

        Args:
            seen: Whether the supervisor requeues its trial; else its lease has to expire.
        """
        begun = [
            each.lease.owner
            for each in self._leases.look().living
            if each.lease.owner in self._alive and each.parameters is not None
        ]
        if not begun:
            return False
        victim = random.Random(secrets.randbits(32)).choice(begun)  # noqa: S311 - not for secrets
        process = self._alive.pop(victim)
        process.kill()
        process.join()
        if seen:
            self._reaper.abandon(victim)
        self._start()
        return True

    def over(self) -> list[int | None]:
        """The exit codes of the workers that are left."""
        return exit_codes(*self._alive.values(), limit_s=200.0)

    def _start(self) -> None:
        me = owner()
        self._alive[me.id] = start(work, self._store.url, me, self._ttl_s, self._pace_s)


def rage(
    store: StudyStore, trials: int, workers: int, deaths: int, ttl_s: float, *, seen: bool
) -> None:
    study = toy_study(store, trials)
    storm = Storm(store, study, workers, ttl_s)
    for _ in range(deaths):
        until(lambda: storm.kill(seen=seen))

    assert [0] * workers == storm.over()
    assert [] == violations(store, study)
    record = study_snapshot(store, study)
    assert ["complete"] * trials == [each.state for each in record.trials]
    attempts = begun(store, study)
    assert trials <= len(attempts) <= trials + deaths
    assert trials == len({each.lease.trial_id for each in attempts if each.ended == "finished"})


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_long_storm_without_a_supervisor_loses_no_trial(url: str) -> None:
    """Machines are lost: every trial waits for its lease to expire."""
    with opened(url) as store:
        rage(store, trials=60, workers=4, deaths=20, ttl_s=2.0, seen=False)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_long_storm_loses_no_trial(url: str) -> None:
    with opened(url) as store:
        rage(store, trials=120, workers=8, deaths=60, ttl_s=TTL_S, seen=True)
