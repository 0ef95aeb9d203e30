"""A search and its crew: when it ends, who is asked to, and what a death costs."""

import signal
from dataclasses import replace
from pathlib import Path

import pytest

from risexp.app.search import supervisor as lookout
from risexp.app.search.worker import owner_of
from risexp.callbacks.watchdog import HUNG
from risexp.errors import (
    EnvironmentFailed,
    VerificationFailed,
)
from risexp.hpo.store.leases import Leases
from risexp.hpo.trials.limits import FAILING, limit_of
from tests.support.searches import tiny
from tests.support.worker_pool import (
    WANTED,
    Employ,
    Hands,
    die,
    hear,
    searched,
    states,
    study,
    train,
)
from tests.support.worker_processes import queue_of

pytestmark = pytest.mark.usefixtures("at_home")


def test_a_search_ends_once_a_trial_is_good_enough(hands: Employ) -> None:
    hands()

    found, _, _ = searched(replace(WANTED, until=4.0))

    assert 0 == found.exit_code
    assert ["complete", "complete", "waiting"] == states(found)
    assert "k_loc 3.000 is below 4" == found.table.ended


def test_a_search_goes_on_after_a_bound_that_is_taken_back(hands: Employ) -> None:
    hands()
    searched(replace(WANTED, until=4.0))

    found, _, _ = searched()

    assert ["complete"] * 3 == states(found)
    assert found.table.ended is None


def test_what_a_trial_may_take_is_kept_for_workers_who_join(hands: Employ) -> None:
    hands()
    kept = []
    for seconds in (90.0, None):
        searched(replace(WANTED, trial_timeout_s=seconds))
        with study() as (store, found):
            kept.append(limit_of(store, found))

    assert [90.0, None] == kept


def test_a_search_ends_when_its_time_is_over(hands: Employ) -> None:
    crews = hands()

    found, _, _ = searched(replace(WANTED, timeout_s=0.0))

    assert 0 == found.exit_code
    assert ([], ["waiting"] * 3) == (crews[0].trained, states(found))
    assert "0 s are over" == found.table.ended


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 75)])
def test_a_signal_is_handed_on_and_the_trials_wait(
    hands: Employ, number: signal.Signals, code: int
) -> None:
    crews = hands(train, hear(number))
    before = signal.getsignal(number)

    found, _, said = searched()

    assert code == found.exit_code
    assert ["complete", "waiting", "waiting"] == states(found)
    assert ["workers end with their batches; once more stops them at once"] == said
    assert before == signal.getsignal(number)

    again, _, _ = searched()

    assert 0 == again.exit_code
    assert [[0], [1, 2]] == [each.trained for each in crews]


def test_a_second_signal_is_handed_on_too(hands: Employ, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Hands, "terminate", lambda self: setattr(self, "asked", self.asked + 1))

    def leave(crew: Hands) -> None:
        crew.pids = ()

    ctrl_c = hear(signal.SIGINT)
    crews = hands(ctrl_c, ctrl_c, lambda _: None, leave)

    found, _, said = searched()

    assert 130 == found.exit_code
    assert "workers are stopped at once" == said[-1]
    assert 3 == crews[0].asked


def test_who_was_asked_and_does_not_end_is_waited_for_no_longer_than_patience(
    hands: Employ, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Hands, "terminate", lambda _: None)
    monkeypatch.setattr(lookout, "_PATIENCE_S", 0.0)
    hands(hear(signal.SIGINT), *[lambda _: None] * 1000, train)

    found, _, _ = searched()

    assert 130 == found.exit_code
    assert ["waiting"] * 3 == states(found)


def test_a_death_is_said_and_its_trial_goes_on_at_once(hands: Employ) -> None:
    crews = hands(die)

    found, _, said = searched()

    assert found.as_json()["said"] == said
    assert [0, 1, 2] == crews[0].trained
    assert [2, 1, 1] == [each.attempts for each in found.table.trials]
    assert [f"died of SIGKILL: see {crews[0].post.log}" in each for each in said] == [True]
    assert ["died", "finished", "finished", "finished"] == ends()


def test_trials_that_all_kill_their_worker_end_the_study_until_it_is_gone_on_with(
    hands: Employ,
) -> None:
    crews = hands(*[die] * 20)

    found, _, _ = searched(replace(WANTED, trials=7))

    assert VerificationFailed.exit_code == found.exit_code
    assert FAILING == found.table.ended
    assert [*["failed"] * 5, "waiting", "waiting"] == states(found)

    again, _, _ = searched(replace(WANTED, trials=7))

    assert [5, 6] == crews[1].trained
    assert (0, None) == (again.exit_code, again.table.ended)


def test_a_crew_that_gave_up_is_no_end_of_a_search(hands: Employ, at_home: Path) -> None:
    def give_up(crew: Hands) -> None:
        crew.pids, crew.gave_up = (), True

    hands(give_up)

    with pytest.raises(EnvironmentFailed, match="died again and again") as failed:
        searched()

    assert str(at_home / "mlruns" / "studies" / "toy") in str(failed.value)


def test_a_search_of_which_nothing_is_left_starts_nobody(hands: Employ) -> None:
    crews = hands()
    searched()

    found, shown, _ = searched()

    assert [True, False] == [each.started for each in crews]
    assert (0, ["complete"] * 3) == (found.exit_code, states(found))
    assert found.table == shown[-1]


def test_what_is_said_before_a_search_is_in_its_document_too(hands: Employ) -> None:
    hands(die)

    found, _, said = searched(replace(WANTED, space=tiny(pruner={"kind": "median"})))

    *notes, death = found.as_json()["said"]
    assert [*notes, death] == said
    assert any("the pruner can end no trial" in each for each in notes)
    assert "died of SIGKILL" in death


def test_a_worker_that_hung_is_said_to_have_and_its_trial_goes_on(hands: Employ) -> None:
    hands(lambda crew: die(crew, HUNG))

    found, shown, said = searched()

    assert ["hung", "finished", "finished", "finished"] == ends()
    assert ["complete"] * 3 == states(found)
    assert ["hung and ended itself" in each for each in said] == [True]
    assert ("waiting", "hung") in {(row.state, row.reason) for each in shown for row in each.trials}


def test_a_worker_that_has_lost_its_lease_and_does_not_end_is_killed(
    hands: Employ, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookout, "_WATCH_S", 0.0)
    monkeypatch.setattr("risexp.hpo.trials.reaper.is_stopped", lambda _: True)

    def lose(crew: Hands) -> None:
        with study() as (store, found):
            queue_of(store, found, ttl_s=0.0).claim(owner_of(crew.token, crew.pids[0]))

    crews = hands(lose)

    found, _, said = searched()

    assert list(crews[0].pids or crews[0].killed[:1]) == crews[0].killed
    assert ["died", "finished", "finished", "finished"] == ends()
    assert ["complete"] * 3 == states(found)
    assert "is stopped or hangs, and its lease is over" in said[0]


def ends() -> list[object]:
    """Of all attempts."""
    with study() as (store, ref):
        return [each.ended for each in Leases(store, ref.uid).attempts()]
