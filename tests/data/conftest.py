"""Frozen sets that every test may change: drawn once a session, and copied."""

import shutil
from pathlib import Path

import pytest

from risexp.data import freezing
from tests.support.frozen_sets import contents, frozen, frozen_few


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten scenes lie in shards of 4, 4 and 2."""
    monkeypatch.setattr(freezing, "SHARD_SCENES", 4)


@pytest.fixture(scope="session")
def few_scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of six scenes that no test changes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(freezing, "SHARD_SCENES", 4)
        return frozen_few(tmp_path_factory.mktemp("few") / "set")


@pytest.fixture
def folder(few_scenes: Path, tmp_path: Path) -> Path:
    """A copy of a set of six scenes, in shards of four and two."""
    return Path(shutil.copytree(few_scenes, tmp_path / "set"))


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a set of ten scenes that was drawn at once."""
    place = tmp_path_factory.mktemp("whole") / "set"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(freezing, "SHARD_SCENES", 4)
        frozen(place)
    return contents(place)
