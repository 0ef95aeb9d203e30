"""The alias moves in one step: whoever dies before it changed nothing, and of two one wins."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient

from risexp.errors import EnvironmentFailed, InvalidInput, ModelRefused
from risexp.registry.promotion import STEPS, Step, promote, roll_back, tidy
from risexp.registry.versions import FORMER, PENDING, PREVIOUS, STATE, Registry, Version
from risexp.tracking.stores import TrackingStore, embedded, in_environment
from tests.support.promotions import NAME, a_run, killed_at, state, wanted
from tests.support.uploads import place

BEFORE = STEPS[: STEPS.index("moved")]
"""Steps at which nothing is promoted yet."""


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TrackingStore]:
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    found = place(embedded())
    with in_environment(found):
        yield found


@pytest.fixture
def registry(store: TrackingStore) -> Registry:
    return Registry(store)


@pytest.fixture
def run(store: TrackingStore) -> str:
    return a_run(store)


def promoted(registry: Registry, run: str, folder: Path) -> Version:
    """The next version, promoted beside whatever is champion now."""
    champion = registry.aliases(NAME).get("champion")
    return promote(registry, wanted(run, folder, champion), alone=True)


def champion_of(registry: Registry) -> int | None:
    return registry.aliases(NAME).get("champion")


def sound(_version: Version) -> None:
    """Every version can be loaded."""


def test_the_first_promotion_makes_a_champion_without_one_before(
    registry: Registry, run: str, tmp_path: Path
) -> None:
    version = promoted(registry, run, tmp_path / "model")

    assert {"champion": 1} == registry.aliases(NAME)
    assert ("champion", "", "train-1", "# a card") == (
        version.tags[STATE],
        version.tags[PREVIOUS],
        version.tags["risexp.run"],
        version.card,
    )
    assert "MLmodel" in {
        Path(each.path).name
        for each in MlflowClient(registry.store.uri).list_artifacts(run, "model")
    }


def test_the_second_promotion_keeps_the_first_as_previous(
    registry: Registry, run: str, tmp_path: Path
) -> None:
    for _ in range(2):
        promoted(registry, run, tmp_path / "model")

    assert {"champion": 2, "previous": 1} == registry.aliases(NAME)
    assert "1" == registry.version(NAME, 2).tags[PREVIOUS]
    assert FORMER == registry.version(NAME, 1).tags[STATE]


@pytest.mark.parametrize("step", STEPS)
def test_a_promotion_killed_at_any_step_is_whole_or_has_changed_no_alias(
    step: Step, registry: Registry, run: str, tmp_path: Path
) -> None:
    promoted(registry, run, tmp_path / "model")

    assert -9 == killed_at(step, registry.store, wanted(run, tmp_path / "model", champion=1))

    assert (1 if step in BEFORE else 2) == champion_of(registry)
    left = [each.number for each in registry.versions(NAME) if each.abandoned]
    assert ([2] if step in ("created", "checked") else []) == left

    last = promoted(registry, run, tmp_path / "model")

    assert {"champion": last.number, "previous": last.previous} == registry.aliases(NAME)
    states = [each.tags[STATE] for each in registry.versions(NAME)]
    assert ["champion", *[FORMER] * (len(states) - 1)] == states


@pytest.mark.parametrize("step", ["created", "checked"])
def test_an_interrupted_promotion_takes_its_own_version_away(
    step: Step, registry: Registry, run: str, tmp_path: Path
) -> None:
    promoted(registry, run, tmp_path / "model")
    before = state(registry)

    def interrupt(now: Step) -> None:
        if now == step:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        promote(registry, wanted(run, tmp_path / "model", 1), alone=True, reached=interrupt)

    assert before == state(registry)


def test_a_champion_that_is_another_one_by_now_is_not_replaced(
    registry: Registry, run: str, tmp_path: Path
) -> None:
    promoted(registry, run, tmp_path / "model")
    before = state(registry)

    with pytest.raises(EnvironmentFailed, match=r"version 1 is the champion .* there was none"):
        promote(registry, wanted(run, tmp_path / "model", champion=None), alone=True)

    assert before == state(registry)


def test_of_two_promotions_beside_the_same_champion_one_wins(
    registry: Registry, run: str, tmp_path: Path
) -> None:
    promoted(registry, run, tmp_path / "model")
    mine, theirs = (wanted(run, tmp_path / name, champion=1) for name in ("mine", "theirs"))

    def overtaken(now: Step) -> None:
        if now == "created":
            promote(registry, theirs, alone=False)

    with pytest.raises(EnvironmentFailed, match="version 3 is the champion"):
        promote(registry, mine, alone=False, reached=overtaken)

    assert {"champion": 3, "previous": 1} == registry.aliases(NAME)
    assert [3, 1] == [each.number for each in registry.versions(NAME)]


def test_only_what_promotions_left_pending_is_taken_away(
    registry: Registry, run: str, tmp_path: Path
) -> None:
    promoted(registry, run, tmp_path / "model")
    source = registry.log(run, tmp_path / "model", "by-hand")
    by_hand = registry.create(NAME, source, run, {"mine": "yes"}, "")
    pending = registry.create(NAME, source, run, {STATE: PENDING}, "")
    named = registry.create(NAME, source, run, {STATE: PENDING}, "")
    registry.point(NAME, "challenger", named.number)

    gone = tidy(registry, NAME, alone=True)

    assert (pending.number,) == gone
    assert {1, by_hand.number, named.number} == {each.number for each in registry.versions(NAME)}
    assert "challenger" == registry.version(NAME, named.number).tags[STATE]


def test_what_another_home_may_be_promoting_is_left_alone(
    registry: Registry, run: str, tmp_path: Path
) -> None:
    promoted(registry, run, tmp_path / "model")
    source = registry.log(run, tmp_path / "model", "theirs")
    registry.create(NAME, source, run, {STATE: PENDING}, "")

    assert () == tidy(registry, NAME, alone=False)


def test_rolling_back_follows_what_versions_say_of_each_other(
    registry: Registry, run: str, tmp_path: Path
) -> None:
    for _ in range(3):
        promoted(registry, run, tmp_path / "model")
    # What people changed by hand decides nothing.
    registry.point(NAME, "previous", 1)

    was, version = roll_back(registry, NAME, "champion", "somebody", expect_sound=sound)

    assert (3, 2) == (was.number, version.number)
    assert {"champion": 2, "previous": 1} == registry.aliases(NAME)
    assert ["former", "champion", "former"] == [
        each.tags[STATE] for each in registry.versions(NAME)
    ]

    roll_back(registry, NAME, "champion", "somebody", expect_sound=sound)

    assert {"champion": 1} == registry.aliases(NAME)


def test_there_is_nothing_before_the_first_champion(
    registry: Registry, run: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInput, match="no version of ris-localizer is champion"):
        roll_back(registry, NAME, "champion", "somebody", expect_sound=sound)
    promoted(registry, run, tmp_path / "model")
    before = state(registry)

    with pytest.raises(InvalidInput, match="version 1 of ris-localizer is the first"):
        roll_back(registry, NAME, "champion", "somebody", expect_sound=sound)

    assert before == state(registry)


def test_a_version_before_that_is_gone_is_not_gone_back_to(
    registry: Registry, run: str, tmp_path: Path
) -> None:
    for _ in range(2):
        promoted(registry, run, tmp_path / "model")
    registry.delete(registry.version(NAME, 1))

    with pytest.raises(InvalidInput, match="no version 1"):
        roll_back(registry, NAME, "champion", "somebody", expect_sound=sound)

    assert 2 == champion_of(registry)


def test_a_version_that_cannot_be_loaded_is_not_rolled_back_to(
    registry: Registry, run: str, tmp_path: Path
) -> None:
    for _ in range(2):
        promoted(registry, run, tmp_path / "model")

    def gone(version: Version) -> None:
        raise ModelRefused(f"version {version.number} has no files")

    with pytest.raises(ModelRefused, match="version 1 has no files"):
        roll_back(registry, NAME, "champion", "somebody", expect_sound=gone)

    assert 2 == champion_of(registry)


def test_whoever_was_champion_is_not_tidied_away(
    registry: Registry, run: str, tmp_path: Path
) -> None:
    def die(now: Step) -> None:
        if now == "moved":
            raise KeyboardInterrupt

    promoted(registry, run, tmp_path / "model")
    killed_at("moved", registry.store, wanted(run, tmp_path / "model", champion=1))
    with pytest.raises(KeyboardInterrupt):
        roll_back(registry, NAME, "champion", "somebody", expect_sound=sound, reached=die)

    assert () == tidy(registry, NAME, alone=True)
    assert registry.find(NAME, 2) is not None


def test_what_fails_after_the_move_is_told_as_a_promotion(
    registry: Registry, run: str, tmp_path: Path
) -> None:
    def fail(now: Step) -> None:
        if now == "named":
            raise OSError("disk full")

    with pytest.raises(EnvironmentFailed, match=r"version 1 of .* is champion"):
        promote(registry, wanted(run, tmp_path / "model", None), alone=True, reached=fail)

    assert 1 == champion_of(registry)
