"""The supervisor of a search: limits, signals, and workers that die or hang."""

import signal
from dataclasses import replace
from pathlib import Path

import pytest

from risexp.app.search import supervisor
from risexp.app.search.worker import owner_of
from risexp.callbacks.watchdog import HUNG
from risexp.errors import EnvironmentFailed, VerificationFailed
from risexp.hpo.store.leases import Leases
from risexp.hpo.trials.limits import FAILING, limit_of
from tests.support.searches import tiny
from tests.support.worker_pool import (
    REQUEST,
    Employ,
    FakePool,
    die,
    leave,
    searched,
    send,
    states,
    study,
    train,
)
from tests.support.worker_processes import queue_of

pytestmark = pytest.mark.usefixtures("at_home")


def ends() -> list[object]:
    """The ends of all attempts."""
    with study() as (store, ref):
        return [attempt.ended for attempt in Leases(store, ref.uid).attempts()]


def test_a_search_ends_at_its_bound_or_in_time_and_goes_on_without_them(pools: Employ) -> None:
    employed = pools()

    timed, _ = searched(replace(REQUEST, timeout_s=0.0))
    result, _ = searched(replace(REQUEST, until=4.0))
    again, _ = searched()
    over, view = searched()

    assert [0] * 4 == [each.exit_code for each in (timed, result, again, over)]
    assert ([], ["waiting"] * 3) == (employed[0].trained, states(timed))
    assert "0 s are over" == timed.table.ended
    assert ["complete", "complete", "waiting"] == states(result)
    assert "k_loc 3.000 is below 4" == result.table.ended
    assert ["complete"] * 3 == states(again)
    assert again.table.ended is None
    assert [True, True, True, False] == [pool.started for pool in employed]
    assert over.table == view.tables[-1] == again.table


def test_the_time_limit_of_trials_is_kept_for_workers_who_join(pools: Employ) -> None:
    pools()
    kept = []
    for seconds in (90.0, None):
        searched(replace(REQUEST, trial_timeout_s=seconds))
        with study() as (store, ref):
            kept.append(limit_of(store, ref))

    assert [90.0, None] == kept


def test_a_signal_reaches_the_workers_and_the_trials_wait(pools: Employ) -> None:
    employed = pools(train, send(signal.SIGINT))
    before = signal.getsignal(signal.SIGINT)

    result, view = searched()

    assert 130 == result.exit_code
    assert ["complete", "waiting", "waiting"] == states(result)
    assert ["workers end with their batches; once more stops them at once"] == view.sentences
    assert before == signal.getsignal(signal.SIGINT)

    again, _ = searched()

    assert 0 == again.exit_code
    assert [[0], [1, 2]] == [pool.trained for pool in employed]


def test_a_second_signal_reaches_the_workers_too(
    pools: Employ, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakePool, "terminate", lambda self: setattr(self, "asked", self.asked + 1))
    ctrl_c = send(signal.SIGINT)
    employed = pools(ctrl_c, ctrl_c, lambda _: None, leave)

    result, view = searched()

    assert 130 == result.exit_code
    assert "workers are stopped at once" == view.sentences[-1]
    assert 3 == employed[0].asked


def test_a_worker_that_does_not_end_is_waited_for_no_longer_than_patience(
    pools: Employ, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakePool, "terminate", lambda _: None)
    monkeypatch.setattr(supervisor, "_PATIENCE_S", 0.0)
    pools(send(signal.SIGINT), *[lambda _: None] * 1000, train)

    result, _ = searched()

    assert 130 == result.exit_code
    assert ["waiting"] * 3 == states(result)


def test_a_death_and_a_hang_are_reported_and_the_trial_goes_on_at_once(pools: Employ) -> None:
    employed = pools(die, lambda pool: die(pool, HUNG))

    result, view = searched(replace(REQUEST, space=tiny(pruner={"kind": "median"})))

    *notes, death, hang = view.sentences
    assert view.sentences == result.as_json()["said"]
    assert any("the pruner can end no trial" in note for note in notes)
    assert f"died of SIGKILL: see {employed[0].spec.log}" in death
    assert "hung and ended itself" in hang
    assert [0, 1, 2] == employed[0].trained
    assert [3, 1, 1] == [row.attempts for row in result.table.trials]
    assert ["died", "hung", "finished", "finished", "finished"] == ends()
    rows = [row for table in view.tables for row in table.trials]
    assert ("waiting", "hung") in {(row.state, row.reason) for row in rows}


def test_trials_that_all_kill_their_worker_end_the_study_until_it_goes_on(pools: Employ) -> None:
    employed = pools(*[die] * 20)
    request = replace(REQUEST, trials=6)

    result, _ = searched(request)
    again, _ = searched(request)

    assert VerificationFailed.exit_code == result.exit_code
    assert FAILING == result.table.ended
    assert [*["failed"] * 5, "waiting"] == states(result)
    assert [5] == employed[1].trained
    assert (0, None) == (again.exit_code, again.table.ended)


def test_a_pool_that_gave_up_is_an_error(pools: Employ, at_home: Path) -> None:
    def give_up(pool: FakePool) -> None:
        pool.pids, pool.gave_up = (), True

    pools(give_up)

    with pytest.raises(EnvironmentFailed, match="died again and again") as failed:
        searched()

    assert str(at_home / "mlruns" / "studies" / "toy") in str(failed.value)


def test_a_worker_that_lost_its_lease_and_does_not_end_is_killed(
    pools: Employ, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "_WATCH_S", 0.0)
    monkeypatch.setattr("risexp.hpo.trials.reaper.is_stopped", lambda _: True)

    def lose(pool: FakePool) -> None:
        with study() as (store, ref):
            queue_of(store, ref, ttl_s=0.0).claim(owner_of(pool.token, pool.pids[0]))

    employed = pools(lose)

    result, view = searched()

    assert 1 <= len(employed[0].killed)
    assert ["died", "finished", "finished", "finished"] == ends()
    assert ["complete"] * 3 == states(result)
    assert "is stopped or hangs, and its lease is over" in view.sentences[0]
