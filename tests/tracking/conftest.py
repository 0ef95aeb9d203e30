"""One store for the tests that look at their own runs only."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from risexp.tracking.client import Runs
    from risexp.tracking.stores import Store


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> "Store":
    from risexp.tracking.stores import store_named
    from tests.support.uploads import place

    return place(store_named(f"sqlite:///{tmp_path_factory.mktemp('store')}/mlflow.db"))


@pytest.fixture(scope="session")
def runs(store: "Store") -> "Runs":
    from risexp.tracking.client import Runs

    return Runs(store)
