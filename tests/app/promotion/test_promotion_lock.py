"""Of two processes one promotes, and the other is told which."""

import os
import signal
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from risexp.app.promotion.promotion_lock import only_one
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


def hold(store: TrackingStore, told: Connection, home: str) -> None:
    """Hold the lock until somebody says so, or kills us."""
    os.environ["RISEXP_HOME"] = home
    with only_one(store) as alone:
        told.send(alone)
        told.recv()


def test_the_second_is_told_who_is_at_it_and_a_killed_one_holds_nothing(
    store: TrackingStore, tmp_path: Path
) -> None:
    here, there = SERVER.Pipe()
    process = SERVER.Process(target=hold, args=(store, there, str(tmp_path)))
    process.start()
    alone = here.recv()

    with pytest.raises(EnvironmentFailed) as caught, only_one(store):
        pytest.fail("two hold it")

    assert (not store.name.startswith("http")) == alone
    assert f"process {process.pid} on " in str(caught.value)
    assert "nothing was changed" in str(caught.value)

    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    with only_one(store):
        pass
