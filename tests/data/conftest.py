"""What every test of frozen sets runs under."""

import pytest

from risexp.data import freezing


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten scenes lie in shards of 4, 4 and 2."""
    monkeypatch.setattr(freezing, "SHARD_SCENES", 4)
