"""Of two processes one promotes, and the other is told which."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from risexp.app.promotion.promotion_lock import promotion_lock
from risexp.errors import EnvironmentFailed
from risexp.tracking.stores import TrackingStore, store_named
from tests.support.postgres import postgres

HOLD = """
import sys
from risexp.app.promotion.promotion_lock import promotion_lock
from risexp.tracking.stores import store_named
with promotion_lock(store_named(sys.argv[1])) as exclusive:
    print(exclusive, flush=True)
    sys.stdin.read()
"""
"""A process that holds the lock until it is killed."""


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


def test_the_second_is_told_which_process_holds_the_lock_and_a_killed_one_holds_nothing(
    store: TrackingStore,
) -> None:
    with subprocess.Popen(  # noqa: S603 - our own interpreter and program
        [sys.executable, "-c", HOLD, store.uri],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        exclusive = process.stdout.readline().strip()

        with pytest.raises(EnvironmentFailed) as caught, promotion_lock(store):
            pytest.fail("two hold it")
        process.kill()

    assert str(not store.name.startswith("http")) == exclusive
    assert f"process {process.pid} on " in str(caught.value)
    assert "nothing was changed" in str(caught.value)
    with promotion_lock(store):
        pass
