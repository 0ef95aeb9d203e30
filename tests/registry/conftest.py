"""A registry in the home, and what promotes the next version there."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from risexp.registry.model_registry import Registry, Version
from risexp.registry.promotion import promote
from risexp.tracking.stores import TrackingStore, embedded, in_environment
from tests.support.promotion_steps import OnStep, PromoteNext, passing
from tests.support.promotions import NAME, a_run, promotion
from tests.support.uploads import place


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TrackingStore]:
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    # The folders of these tests hold no model that could be loaded.
    monkeypatch.setattr(Registry, "load", lambda *_: None)
    opened = place(embedded())
    with in_environment(opened):
        yield opened


@pytest.fixture
def registry(store: TrackingStore) -> Registry:
    return Registry(store)


@pytest.fixture
def run(store: TrackingStore) -> str:
    return a_run(store)


@pytest.fixture
def promote_next(registry: Registry, run: str, tmp_path: Path) -> PromoteNext:
    """Promotes the next version beside the current champion, or another one."""

    def promote_next(on_step: OnStep = lambda _: None, *beside: int | None) -> Version:
        (champion,) = beside or (registry.aliases(NAME).get("champion"),)
        asked = promotion(run, tmp_path / "model", champion)
        with passing(on_step):
            return promote(registry, asked, exclusive=True)

    return promote_next
