"""A home for searches, and a crew that needs no processes."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from risexp.app.search import supervisor as lookout
from risexp.hpo.store.store import open_store
from risexp.hpo.workers.pool import WorkerSpec
from tests.support.worker_pool import Hands


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An embedded database without a study."""
    path = tmp_path_factory.mktemp("store") / "optuna.db"
    open_store(f"sqlite:///{path}").close()
    return path


@pytest.fixture
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: Path) -> Path:
    """A home with such a database, where nobody waits between two looks."""
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path))
    monkeypatch.delenv("RISEXP_STORE", raising=False)
    monkeypatch.setattr(lookout, "_LOOK_S", 0.0)
    (tmp_path / "mlruns").mkdir()
    shutil.copy(made, tmp_path / "mlruns" / "optuna.db")
    return tmp_path


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Hands]]:
    """Lets the next searches have such a crew; all of them, the first one first."""

    def employ(*acts: Callable[[Hands], None]) -> list[Hands]:
        employed: list[Hands] = []

        def crew(given: Sequence[WorkerSpec]) -> Hands:
            employed.append(Hands(given, iter(acts if not employed else ())))
            return employed[-1]

        monkeypatch.setattr(lookout, "WorkerPool", crew)
        return employed

    return employ
