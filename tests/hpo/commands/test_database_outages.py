"""The database of a search is restarted or away: the workers wait, and the search goes on."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from risexp.hpo.store.store import StudyStore
from tests.support.command_searches import LIMIT_S, CommandSearch
from tests.support.postgres import Server


@pytest.mark.slow
@pytest.mark.fault("F5")
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
@pytest.mark.parametrize(
    "outages_s",
    [
        # Longer than the longest wait between two calls, and than a search is silent about it.
        pytest.param((0.0, 8.0), id="restarts, and is away for 8 s"),
        pytest.param((60.0, 60.0), id="is away for longer than a lease", marks=pytest.mark.soak),
    ],
)
def test_a_search_waits_for_its_database_and_loses_nothing(
    server: Server,
    store: StudyStore,
    tmp_path: Path,
    outages_s: Sequence[float],
    record_property: Callable[[str, object], None],
) -> None:
    search = CommandSearch(tmp_path, store, tmp_path / "hpo.log")
    search.prepare()
    with search.begun() as process:
        for outage_s in outages_s:
            search.wait_until_amid(finished=search.finished() + 1)
            done = search.finished()
            server.control("-m", "immediate", "stop")
            time.sleep(outage_s)
            server.start()
            back_at = time.time()
            search.wait_for_results(more_than=done)
            record_property("recovery_s", f"{time.time() - back_at:.3f}")

        assert 0 == process.wait(LIMIT_S)

    search.assert_whole()
    # The owners of leases came first when the database was back: nothing was begun again.
    assert search.trials == len(search.attempts())
    record_property("injected", len(outages_s) - 1)
