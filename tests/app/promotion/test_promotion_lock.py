"""Of two processes one promotes, and the other is told which."""

import os
import signal
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from risexp.app.promotion.promotion_lock import promotion_lock
from risexp.errors import EnvironmentFailed
from risexp.tracking.stores import TrackingStore, store_named
from tests.support.postgres import postgres
from tests.support.promotions import SERVER


@pytest.fixture(params=["file", "server", pytest.param("postgresql", marks=pytest.mark.slow)])
def store(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[TrackingStore]:
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path))
    if request.param == "postgresql":
        with postgres() as running:
            yield store_named(running.create("promotions"))
    else:
        file = f"sqlite:///{tmp_path}/mlflow.db"
        yield store_named(file if request.param == "file" else "http://127.0.0.1:9")


def hold(store: TrackingStore, pipe: Connection, home: str) -> None:
    """Hold the lock until a message comes, or until it is killed."""
    os.environ["RISEXP_HOME"] = home
    with promotion_lock(store) as exclusive:
        pipe.send(exclusive)
        pipe.recv()


def test_the_second_is_told_which_process_holds_the_lock_and_a_killed_one_holds_nothing(
    store: TrackingStore, tmp_path: Path
) -> None:
    here, there = SERVER.Pipe()
    process = SERVER.Process(target=hold, args=(store, there, str(tmp_path)))
    process.start()
    exclusive = here.recv()

    with pytest.raises(EnvironmentFailed) as caught, promotion_lock(store):
        pytest.fail("two hold it")

    assert (not store.name.startswith("http")) == exclusive
    assert f"process {process.pid} on " in str(caught.value)
    assert "nothing was changed" in str(caught.value)

    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    with promotion_lock(store):
        pass
