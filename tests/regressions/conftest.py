"""Stores of a test's own, for studies and for runs."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from risexp.hpo.store.store import StudyStore
    from risexp.tracking.stores import TrackingStore


@pytest.fixture
def study_store(tmp_path: Path, empty_database: Path) -> Iterator["StudyStore"]:
    from tests.support.worker_processes import opened

    path = shutil.copy(empty_database, tmp_path / "optuna.db")
    with opened(f"sqlite:///{path}") as store:
        yield store


@pytest.fixture
def tracking_store(own_home: Path) -> "TrackingStore":
    """The embedded one of a home."""
    from risexp.tracking.stores import embedded
    from tests.support.uploads import place

    assert own_home.exists()
    return place(embedded())
