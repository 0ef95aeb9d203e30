"""The alias moves in one step: a death before it changes nothing, and is cleared up after."""

from pathlib import Path

import pytest
from mlflow import MlflowClient

from risexp.core.failpoint import PromotionPoint
from risexp.errors import EnvironmentFailed, InvalidInput, ModelRefused
from risexp.registry.model_registry import FORMER, PENDING, PREVIOUS, STATE, Registry, Version
from risexp.registry.pending import tidy
from risexp.registry.promotion import ROLLED_BACK, promote
from tests.support.promotion_steps import (
    BACK,
    BEFORE,
    STEPS,
    PromoteNext,
    at,
    back,
    die_at,
    passing,
)
from tests.support.promotions import NAME, promotion, state


def interrupt() -> None:
    raise KeyboardInterrupt


def test_a_promotion_makes_a_champion_and_keeps_the_one_before_as_previous(
    registry: Registry, run: str, promote_next: PromoteNext
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


@pytest.mark.fault("F2")
@pytest.mark.parametrize("step", STEPS)
def test_a_promotion_killed_at_any_step_is_whole_or_has_changed_no_alias(
    step: PromotionPoint, registry: Registry, run: str, promote_next: PromoteNext, tmp_path: Path
) -> None:
    promote_next()

    asked = promotion(run, tmp_path / "model", champion=1)
    die_at(step, registry.store, lambda registry: promote(registry, asked, exclusive=True))

    assert (1 if step in BEFORE else 2) == registry.aliases(NAME)["champion"]
    left = [version.number for version in registry.versions(NAME) if version.abandoned]
    assert ([2] if step in ("promote.created", "promote.checked") else []) == left

    last = promote_next()

    assert {"champion": last.number, "previous": last.previous} == registry.aliases(NAME)
    states = [version.tags[STATE] for version in registry.versions(NAME)]
    assert ["champion", *[FORMER] * (len(states) - 1)] == states


def test_a_promotion_that_is_interrupted_or_beside_another_champion_changes_nothing(
    registry: Registry, promote_next: PromoteNext
) -> None:
    promote_next()
    before = state(registry)

    steps: tuple[PromotionPoint, ...] = ("promote.created", "promote.checked")
    for step in steps:
        with pytest.raises(KeyboardInterrupt):
            promote_next(at(step, interrupt))
        assert before == state(registry)
    with pytest.raises(EnvironmentFailed, match=r"version 1 is the champion .* there was none"):
        promote_next(lambda _: None, None)
    assert before == state(registry)


def test_a_failure_after_the_move_is_reported_as_a_promotion(
    registry: Registry, promote_next: PromoteNext
) -> None:
    def fail() -> None:
        raise OSError("disk full")

    with pytest.raises(EnvironmentFailed, match=r"version 1 of .* is champion"):
        promote_next(at("promote.named", fail))

    assert {"champion": 1} == registry.aliases(NAME)


def test_only_abandoned_versions_are_deleted(
    registry: Registry, run: str, promote_next: PromoteNext, tmp_path: Path
) -> None:
    promote_next()
    source = registry.log(run, tmp_path / "model", "by-hand")
    by_hand = registry.create(NAME, source, run, {"mine": "yes"}, "")
    young = registry.create(NAME, source, run, {STATE: PENDING}, "")
    named = registry.create(NAME, source, run, {STATE: PENDING}, "")
    registry.set_alias(NAME, "challenger", named.number)
    former = registry.create(NAME, source, run, {STATE: PENDING}, "")
    later = registry.create(NAME, source, run, {PREVIOUS: str(former.number)}, "")

    # Another home may be promoting the young ones.
    before = state(registry)
    assert {young.number, named.number, former.number} == {
        version.number for version in tidy(registry, NAME, exclusive=False)
    }
    assert before == state(registry)
    assert () == tidy(registry, NAME, exclusive=True)

    left = {version.number for version in registry.versions(NAME)}
    assert {1, *(kept.number for kept in (by_hand, named, former, later))} == left
    assert "challenger" == registry.version(NAME, named.number).tags[STATE]


def test_a_rollback_follows_the_tags_of_versions(
    registry: Registry, promote_next: PromoteNext
) -> None:
    for _ in range(3):
        promote_next()
    # An alias that was moved by hand decides nothing.
    registry.set_alias(NAME, "previous", 1)

    was, version = back(registry)

    assert (3, 2) == (was.number, version.number)
    assert {"champion": 2, "previous": 1} == registry.aliases(NAME)
    states = [version.tags[STATE] for version in registry.versions(NAME)]
    assert ["former", "champion", "former"] == states

    back(registry)

    assert {"champion": 1} == registry.aliases(NAME)


def test_there_is_nothing_before_the_first_champion(
    registry: Registry, promote_next: PromoteNext
) -> None:
    with pytest.raises(InvalidInput, match="no version of ris-localizer is champion"):
        back(registry)
    promote_next()
    before = state(registry)

    with pytest.raises(InvalidInput, match="version 1 of ris-localizer is the first"):
        back(registry)

    assert before == state(registry)


def test_a_version_that_is_deleted_or_damaged_is_not_rolled_back_to(
    registry: Registry, promote_next: PromoteNext, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(_: Registry, version: Version) -> None:
        raise ModelRefused(f"version {version.number} has no files")

    for _ in range(2):
        promote_next()
    monkeypatch.setattr(Registry, "load", damaged)

    with pytest.raises(ModelRefused, match="version 1 has no files"):
        back(registry)
    registry.delete(registry.version(NAME, 1))
    with pytest.raises(InvalidInput, match="no version 1"):
        back(registry)

    assert 2 == registry.aliases(NAME)["champion"]


@pytest.mark.fault("F2")
@pytest.mark.parametrize("step", BACK)
def test_a_rollback_killed_at_any_step_is_finished_by_the_next_and_goes_back_no_further(
    step: PromotionPoint, registry: Registry, promote_next: PromoteNext
) -> None:
    for _ in range(3):
        promote_next()

    die_at(step, registry.store, back)
    moved = BACK.index(step) >= BACK.index("rollback.moved")
    assert (2 if moved else 3) == registry.aliases(NAME)["champion"]
    # After its last step there is nothing to finish.
    if step != "rollback.settled":
        was, version = back(registry)
        assert (3, 2) == (was.number, version.number)

    assert {"champion": 2, "previous": 1} == registry.aliases(NAME)
    tags = {version.number: version.tags[STATE] for version in registry.versions(NAME)}
    assert {3: FORMER, 2: "champion", 1: FORMER} == tags
    assert "a user" == registry.version(NAME, 3).tags[ROLLED_BACK]


@pytest.mark.parametrize("step", BACK)
def test_a_promotion_after_a_rollback_that_was_killed_is_whole(
    step: PromotionPoint, registry: Registry, promote_next: PromoteNext
) -> None:
    for _ in range(3):
        promote_next()

    die_at(step, registry.store, back)
    before = registry.aliases(NAME)["champion"]
    last = promote_next()

    assert {"champion": last.number, "previous": before} == registry.aliases(NAME)
    assert before == last.previous
    assert [] == [version.number for version in registry.versions(NAME) if version.abandoned]


def test_a_former_champion_is_never_deleted(
    registry: Registry, run: str, promote_next: PromoteNext, tmp_path: Path
) -> None:
    promote_next()
    asked = promotion(run, tmp_path / "model", champion=1)
    die_at("promote.moved", registry.store, lambda own: promote(own, asked, exclusive=True))
    with (
        pytest.raises(KeyboardInterrupt),
        passing(at("rollback.moved", interrupt)),
    ):
        back(registry)

    assert () == tidy(registry, NAME, exclusive=True)
    assert registry.find(NAME, 2) is not None
