"""One store for the tests that look at their own runs only."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from risexp.tracking.client import TrackingClient
    from risexp.tracking.stores import TrackingStore


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> "TrackingStore":
    from risexp.tracking.stores import store_named
    from tests.support.uploads import place

    return place(store_named(f"sqlite:///{tmp_path_factory.mktemp('store')}/mlflow.db"))


@pytest.fixture(scope="session")
def runs(store: "TrackingStore") -> "TrackingClient":
    from risexp.tracking.client import TrackingClient

    return TrackingClient(store)
