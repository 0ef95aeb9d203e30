"""Many workers at once, some of which are killed: every trial is done, and done once."""

import random
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess

import pytest

from risexp.hpo.store.leases import TTL_S
from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.study import StudyRef
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


@pytest.mark.fault("F17")
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


@dataclass(frozen=True)
class Weather:
    """How many workers of how many die."""

    trials: int
    workers: int
    deaths: int
    ttl_s: float = TTL_S
    seen: bool = True
    """Whether a supervisor sees each death; else a lease has to expire."""


class Storm:
    """Workers of a study, of which one after another is killed and replaced."""

    def __init__(self, url: str, store: StudyStore, study: StudyRef, weather: Weather) -> None:
        self.alive: dict[str, ForkServerProcess] = {}
        self.killed: list[tuple[int, float]] = []
        """Trials, and when their workers were killed."""
        self._url, self._weather = url, weather
        self._leases = queue_of(store, study, weather.ttl_s).leases
        self._reaper = Reaper(self._leases, study, most_deaths=10**6)
        self._dice = random.Random(secrets.randbits(32))  # noqa: S311 - not for secrets
        for _ in range(weather.workers):
            self._employ()

    def kill_one(self) -> bool:
        """Kill a worker that has begun a trial, and start another; false if none has."""
        leases = [each.lease for each in self._leases.look().living if each.parameters]
        if not (busy := [lease for lease in leases if lease.owner in self.alive]):
            return False
        victim = self._dice.choice(busy)
        process = self.alive.pop(victim.owner)
        self.killed.append((victim.trial_id, time.time()))
        process.kill()
        process.join()
        if self._weather.seen:
            self._reaper.abandon(victim.owner)
        self._employ()
        return True

    def recoveries_s(self) -> list[float]:
        """From each kill to the next attempt at its trial, where it was not finished."""
        attempts = self._leases.attempts()
        later = (
            [each.began_at - at for each in attempts if each.lease.trial_id == trial]
            for trial, at in self.killed
        )
        waits = [[wait for wait in waits if wait > 0.0] for waits in later]
        return [min(each) for each in waits if each]

    def _employ(self) -> None:
        me = owner()
        self.alive[me.id] = start(work, self._url, me, self._weather.ttl_s, 0.02)


@pytest.mark.fault("F1")
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "weather",
    [
        pytest.param(Weather(12, 3, 5), id="a few deaths"),
        pytest.param(
            Weather(40, 4, 15, ttl_s=2.0, seen=False),
            id="machines are lost, and leases have to expire",
            marks=pytest.mark.slow,
        ),
        pytest.param(Weather(60, 8, 30), id="a supervisor sees each death", marks=pytest.mark.slow),
    ],
)
def test_a_storm_loses_no_trial(
    url: str, weather: Weather, record_property: Callable[[str, object], None]
) -> None:
    with opened(url) as store:
        study = toy_study(store, weather.trials)
        storm = Storm(url, store, study, weather)
        for _ in range(weather.deaths):
            until(storm.kill_one)

        assert [0] * weather.workers == exit_codes(*storm.alive.values(), limit_s=200.0)
        assert [] == violations(store, study)
        assert ["complete"] * weather.trials == states(store, study)
        attempts = begun(store, study)
        finished = {each.lease.trial_id for each in attempts if each.ended == "finished"}
        assert weather.trials == len(finished)
        assert weather.trials <= len(attempts) <= weather.trials + weather.deaths
        record_property("injected", weather.deaths - 1)
        for seconds in storm.recoveries_s():
            record_property("recovery_s", f"{seconds:.3f}")
