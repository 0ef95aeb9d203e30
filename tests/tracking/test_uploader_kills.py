"""An uploader may be killed at any step, and two may start at once: the store has one record."""

from collections.abc import Callable

import pytest

from risexp.core.locks import Busy
from risexp.tracking import uploader
from risexp.tracking.client import TrackingClient
from risexp.tracking.stores import TrackingStore
from risexp.tracking.uploader import STEPS
from tests.support.uploads import artifacts_of, ask, due, finished, held, run_ids, sent

pytestmark = pytest.mark.usefixtures("own_home")


class Killed(BaseException):
    """No code catches it, as when the process is gone."""


def killer(step: str, times: int) -> Callable[[str], None]:
    """Kills an uploader when it reaches a step for the n-th time."""
    reached: list[str] = []

    def reach(now: str) -> None:
        reached.append(now)
        if now == step and times == reached.count(step):
            raise Killed

    return reach


@pytest.mark.fault("F8")
def test_an_upload_killed_at_any_step_is_resumed_by_the_next(
    store: TrackingStore, runs: TrackingClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploader, "_LINES", 3)
    for step, times in (*((step, 1) for step in STEPS), ("sent", 2), ("advanced", 3)):
        folder = finished(f"killed-{step}-{times}")
        with pytest.raises(Killed):
            sent(folder, store, runs, reached=killer(step, times))

        sent(folder, store, runs)

        (run_id,) = run_ids(folder, store)
        assert due(folder) == held(folder, store)
        assert [("FINISHED",)] == ask(store, "SELECT status FROM runs WHERE run_uuid = ?", run_id)
        inputs = ask(store, "SELECT COUNT(*) FROM inputs WHERE destination_id = ?", run_id)
        assert [(2,)] == inputs
        assert 4 == sum(name.endswith(".png") for name in artifacts_of(folder, store))


def test_two_uploaders_never_work_on_one_run(store: TrackingStore, runs: TrackingClient) -> None:
    folder = finished("raced")
    met: list[str] = []

    def meet(step: str) -> None:
        with pytest.raises(Busy, match="another process sends the record of raced"):
            sent(folder, store, runs)
        met.append(step)

    sent(folder, store, runs, reached=meet)

    assert list(STEPS) == met
    assert 1 == len(run_ids(folder, store))
    assert due(folder) == held(folder, store)
