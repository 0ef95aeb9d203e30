"""A store for the runs of one test."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from risexp.tracking.stores import TrackingStore


@pytest.fixture
def tracking_store(own_home: Path) -> "TrackingStore":
    """The embedded one of a home."""
    from risexp.tracking.stores import embedded
    from tests.support.uploads import place

    assert own_home.exists()
    return place(embedded())
