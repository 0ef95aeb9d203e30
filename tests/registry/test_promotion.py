"""The alias moves in one step: a death before it changes nothing; of two promotions one wins."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient

from risexp.errors import EnvironmentFailed, InvalidInput, ModelRefused
from risexp.registry.model_registry import FORMER, PENDING, PREVIOUS, STATE, Registry, Version
from risexp.registry.promotion import (
    STEPS,
    OnStep,
    Promotion,
    Step,
    promote,
    roll_back,
    tidy,
)
from risexp.tracking.stores import TrackingStore, embedded, in_environment
from tests.support.promotions import NAME, a_run, promotion, state
from tests.support.uploads import place

BEFORE = STEPS[: STEPS.index("moved")]
"""Steps at which nothing is promoted yet."""

Promote = Callable[..., Version]


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
def promote_next(registry: Registry, run: str, tmp_path: Path) -> Promote:
    """Promotes the next version beside the current champion, or another one."""

    def promote_next(on_step: OnStep = lambda _: None, *beside: int | None) -> Version:
        (champion,) = beside or (registry.aliases(NAME).get("champion"),)
        asked = promotion(run, tmp_path / "model", champion)
        return promote(registry, asked, exclusive=True, on_step=on_step)

    return promote_next


def at(step: Step, action: Callable[[], object]) -> Callable[[Step], None]:
    def on_step(now: Step) -> None:
        if now == step:
            action()

    return on_step


class Died(BaseException):
    """The process is gone."""


class NoClient:
    """Sends nothing: the process that had the connection is gone."""

    def __getattr__(self, _: str) -> object:
        raise Died


def die_at(step: Step, store: TrackingStore, promotion: Promotion) -> None:
    """Promote up to a step, after which no request reaches the store any more."""
    registry = Registry(store)

    def die() -> None:
        registry._client = NoClient()  # type: ignore[assignment]
        raise Died

    with pytest.raises(Died):
        promote(registry, promotion, exclusive=True, on_step=at(step, die))


def interrupt() -> None:
    raise KeyboardInterrupt


def test_a_promotion_makes_a_champion_and_keeps_the_one_before_as_previous(
    registry: Registry, run: str, promote_next: Promote
) -> None:
    version = promote_next()

    assert {"champion": 1} == registry.aliases(NAME)
    tags = [version.tags[name] for name in (STATE, PREVIOUS, "risexp.run")]
    assert (["champion", "", "train-1"], "# a card") == (tags, version.card)
    files = MlflowClient(registry.store.uri).list_artifacts(run, "model")
    assert "MLmodel" in {Path(file.path).name for file in files}

    promote_next()

    assert {"champion": 2, "previous": 1} == registry.aliases(NAME)
    assert "1" == registry.version(NAME, 2).tags[PREVIOUS]
    assert FORMER == registry.version(NAME, 1).tags[STATE]


@pytest.mark.parametrize("step", STEPS)
def test_a_promotion_killed_at_any_step_is_whole_or_has_changed_no_alias(
    step: Step, registry: Registry, run: str, promote_next: Promote, tmp_path: Path
) -> None:
    promote_next()

    die_at(step, registry.store, promotion(run, tmp_path / "model", champion=1))

    assert (1 if step in BEFORE else 2) == registry.aliases(NAME)["champion"]
    left = [version.number for version in registry.versions(NAME) if version.abandoned]
    assert ([2] if step in ("created", "checked") else []) == left

    last = promote_next()

    assert {"champion": last.number, "previous": last.previous} == registry.aliases(NAME)
    states = [version.tags[STATE] for version in registry.versions(NAME)]
    assert ["champion", *[FORMER] * (len(states) - 1)] == states


def test_a_promotion_that_is_interrupted_or_beside_another_champion_changes_nothing(
    registry: Registry, promote_next: Promote
) -> None:
    promote_next()
    before = state(registry)

    for step in ("created", "checked"):
        with pytest.raises(KeyboardInterrupt):
            promote_next(at(step, interrupt))
        assert before == state(registry)
    with pytest.raises(EnvironmentFailed, match=r"version 1 is the champion .* there was none"):
        promote_next(lambda _: None, None)
    assert before == state(registry)


def test_of_two_promotions_beside_the_same_champion_one_wins(
    registry: Registry, run: str, promote_next: Promote, tmp_path: Path
) -> None:
    promote_next()
    theirs = promotion(run, tmp_path / "theirs", champion=1)

    with pytest.raises(EnvironmentFailed, match="version 3 is the champion"):
        promote_next(at("created", lambda: promote(registry, theirs, exclusive=False)))

    assert {"champion": 3, "previous": 1} == registry.aliases(NAME)
    assert [3, 1] == [version.number for version in registry.versions(NAME)]


def test_a_failure_after_the_move_is_reported_as_a_promotion(
    registry: Registry, promote_next: Promote
) -> None:
    def fail() -> None:
        raise OSError("disk full")

    with pytest.raises(EnvironmentFailed, match=r"version 1 of .* is champion"):
        promote_next(at("named", fail))

    assert {"champion": 1} == registry.aliases(NAME)


def test_only_abandoned_versions_are_deleted(
    registry: Registry, run: str, promote_next: Promote, tmp_path: Path
) -> None:
    promote_next()
    source = registry.log(run, tmp_path / "model", "by-hand")
    by_hand = registry.create(NAME, source, run, {"mine": "yes"}, "")
    pending = registry.create(NAME, source, run, {STATE: PENDING}, "")
    named = registry.create(NAME, source, run, {STATE: PENDING}, "")
    registry.set_alias(NAME, "challenger", named.number)
    former = registry.create(NAME, source, run, {STATE: PENDING}, "")
    later = registry.create(NAME, source, run, {PREVIOUS: str(former.number)}, "")

    # Another home may be promoting the young one.
    assert () == tidy(registry, NAME, exclusive=False)
    assert (pending.number,) == tidy(registry, NAME, exclusive=True)

    left = {version.number for version in registry.versions(NAME)}
    assert {1, *(kept.number for kept in (by_hand, named, former, later))} == left
    assert "challenger" == registry.version(NAME, named.number).tags[STATE]


def test_a_rollback_follows_the_tags_of_versions(registry: Registry, promote_next: Promote) -> None:
    for _ in range(3):
        promote_next()
    # An alias that was moved by hand decides nothing.
    registry.set_alias(NAME, "previous", 1)

    was, version = roll_back(registry, NAME, "champion", "a user")

    assert (3, 2) == (was.number, version.number)
    assert {"champion": 2, "previous": 1} == registry.aliases(NAME)
    states = [version.tags[STATE] for version in registry.versions(NAME)]
    assert ["former", "champion", "former"] == states

    roll_back(registry, NAME, "champion", "a user")

    assert {"champion": 1} == registry.aliases(NAME)


def test_there_is_nothing_before_the_first_champion(
    registry: Registry, promote_next: Promote
) -> None:
    with pytest.raises(InvalidInput, match="no version of ris-localizer is champion"):
        roll_back(registry, NAME, "champion", "a user")
    promote_next()
    before = state(registry)

    with pytest.raises(InvalidInput, match="version 1 of ris-localizer is the first"):
        roll_back(registry, NAME, "champion", "a user")

    assert before == state(registry)


def test_a_version_that_is_deleted_or_damaged_is_not_rolled_back_to(
    registry: Registry, promote_next: Promote, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(_: Registry, version: Version) -> None:
        raise ModelRefused(f"version {version.number} has no files")

    for _ in range(2):
        promote_next()
    monkeypatch.setattr(Registry, "load", damaged)

    with pytest.raises(ModelRefused, match="version 1 has no files"):
        roll_back(registry, NAME, "champion", "a user")
    registry.delete(registry.version(NAME, 1))
    with pytest.raises(InvalidInput, match="no version 1"):
        roll_back(registry, NAME, "champion", "a user")

    assert 2 == registry.aliases(NAME)["champion"]


def test_a_former_champion_is_never_deleted(
    registry: Registry, run: str, promote_next: Promote, tmp_path: Path
) -> None:
    promote_next()
    die_at("moved", registry.store, promotion(run, tmp_path / "model", champion=1))
    with pytest.raises(KeyboardInterrupt):
        roll_back(registry, NAME, "champion", "a user", at("moved", interrupt))

    assert () == tidy(registry, NAME, exclusive=True)
    assert registry.find(NAME, 2) is not None
