"""A home of each test's own, and one store for the tests that look at their own runs only."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from risexp.tracking.mlflow import Runs
    from risexp.tracking.stores import Store


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path))
    monkeypatch.delenv("RISEXP_TRACKING_URI", raising=False)
    return tmp_path


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> "Store":
    from risexp.tracking.stores import store_named
    from tests.records import place

    return place(store_named(f"sqlite:///{tmp_path_factory.mktemp('store')}/mlflow.db"))


@pytest.fixture(scope="session")
def runs(store: "Store") -> "Runs":
    from risexp.tracking.mlflow import Runs

    return Runs(store)
