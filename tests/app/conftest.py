"""A home for searches, and a pool that needs no processes."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from risexp.app.search import supervisor
from risexp.hpo.workers.pool import WorkerSpec
from tests.support.worker_pool import Employ, FakePool


@pytest.fixture
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_database: Path) -> Path:
    """A home with such a database, where a supervisor does not wait between two looks."""
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path))
    monkeypatch.delenv("RISEXP_STORE", raising=False)
    monkeypatch.setattr(supervisor, "_LOOK_S", 0.0)
    (tmp_path / "mlruns").mkdir()
    shutil.copy(empty_database, tmp_path / "mlruns" / "optuna.db")
    return tmp_path


@pytest.fixture
def pools(monkeypatch: pytest.MonkeyPatch) -> Employ:
    """Gives the next searches such pools, and returns them; the first one takes the acts."""

    def employ(*acts: Callable[[FakePool], None]) -> list[FakePool]:
        employed: list[FakePool] = []

        def pool(specs: Sequence[WorkerSpec]) -> FakePool:
            employed.append(FakePool(specs, iter(acts if not employed else ())))
            return employed[-1]

        monkeypatch.setattr(supervisor, "WorkerPool", pool)
        return employed

    return employ
