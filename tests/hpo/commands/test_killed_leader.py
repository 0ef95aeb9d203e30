"""`risexp hpo` is killed amid a search; the same command goes on with it."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from risexp.hpo.store.leases import Leases
from risexp.hpo.store.store import StudyStore
from tests.support.command_searches import LIMIT_S, SQLITE_OR_SOAK, CommandSearch, lives
from tests.support.worker_processes import until

pytestmark = [pytest.mark.fault("F3"), pytest.mark.timeout(3600)]


@pytest.fixture
def search(store: StudyStore, tmp_path: Path) -> CommandSearch:
    found = CommandSearch(tmp_path, store, tmp_path / "hpo.log", trials=4)
    found.prepare()
    return found


@SQLITE_OR_SOAK
@pytest.mark.slow
def test_the_same_command_goes_on_with_a_search_whose_leader_was_killed(
    search: CommandSearch, record_property: Callable[[str, object], None]
) -> None:
    """Its workers give back what they train and end, without being told by anyone."""
    with search.begun() as leader:
        search.wait_until_amid()
        workers = search.workers_pids()
        leader.kill()
        killed_at = time.time()
        until(lambda: not any(map(lives, workers)), LIMIT_S)

        ends = [each.ended for each in search.attempts()]
        assert {"finished", "released"} == {*ends}
        assert () == Leases(search.store, search.study.uid).look().living
    released = [each for each in search.attempts() if each.ended == "released"]
    given_back_s = max(each.ended_at or 0.0 for each in released) - killed_at
    record_property("figure", f"orphaned workers gave their trials back in {given_back_s:.1f} s")

    assert 0 == search.run()

    search.assert_whole()


@pytest.mark.soak
def test_a_machine_that_is_lost_with_leader_and_workers_costs_no_trial(
    search: CommandSearch, record_property: Callable[[str, object], None]
) -> None:
    """No process gives anything back: the leases have to expire."""
    with search.begun() as leader:
        search.wait_until_amid()
        leader.kill()
        search.kill_workers()
        killed_at = time.time()

    assert 0 == search.run()

    search.assert_whole()
    again = [each for each in search.attempts() if each.ended == "died"]
    assert again
    record_property("recovery_s", f"{search.recovery_s(killed_at):.3f}")
