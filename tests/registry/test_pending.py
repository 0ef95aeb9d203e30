"""Of promotions that run at the same time in several homes, the first goes on."""

from pathlib import Path

import pytest

from risexp.core.failpoint import PromotionPoint
from risexp.errors import EnvironmentFailed
from risexp.registry import pending
from risexp.registry.model_registry import FORMER, STATE, Registry
from risexp.registry.promotion import promote
from tests.support.promotion_steps import STEPS, PromoteNext, at, back, in_another_home, passing
from tests.support.promotions import NAME, promotion


@pytest.mark.fault("F16")
@pytest.mark.parametrize("step", STEPS[1:-1])
def test_a_promotion_goes_on_and_all_that_start_later_in_other_homes_give_up(
    step: PromotionPoint, registry: Registry, run: str, promote_next: PromoteNext, tmp_path: Path
) -> None:
    promote_next()
    promote_next()

    def meet() -> None:
        theirs = promotion(run, tmp_path / "theirs", registry.aliases(NAME)["champion"])
        with in_another_home(tmp_path):
            for move in (
                lambda: promote(registry, theirs, exclusive=False),
                lambda: back(registry, exclusive=False),
            ):
                with pytest.raises(EnvironmentFailed, match=r"is running \(version 3, by"):
                    move()

    promote_next(at(step, meet))

    assert {"champion": 3, "previous": 2} == registry.aliases(NAME)
    tags = {version.number: version.tags[STATE] for version in registry.versions(NAME)}
    assert {3: "champion", 2: FORMER, 1: FORMER} == tags


@pytest.mark.fault("F16")
@pytest.mark.parametrize("step", ["rollback.created", "rollback.checked"])
def test_a_promotion_gives_up_beside_a_rollback_in_another_home(
    step: PromotionPoint, registry: Registry, run: str, promote_next: PromoteNext, tmp_path: Path
) -> None:
    promote_next()
    promote_next()

    def meet() -> None:
        theirs = promotion(run, tmp_path / "theirs", champion=2)
        with in_another_home(tmp_path), pytest.raises(EnvironmentFailed, match="is running"):
            promote(registry, theirs, exclusive=False)

    with passing(at(step, meet)):
        back(registry, exclusive=False)

    assert {"champion": 1} == registry.aliases(NAME)
    assert [2, 1] == [version.number for version in registry.versions(NAME)]


@pytest.mark.fault("F16")
def test_a_candidate_is_not_promoted_over_a_version_that_it_was_not_judged_beside(
    registry: Registry, run: str, promote_next: PromoteNext, tmp_path: Path
) -> None:
    promote_next()
    theirs = promotion(run, tmp_path / "theirs", champion=1)

    with pytest.raises(EnvironmentFailed, match="version 2 is the champion"):
        promote_next(at("promote.logged", lambda: promote(registry, theirs, exclusive=False)))

    assert {"champion": 2, "previous": 1} == registry.aliases(NAME)
    assert [2, 1] == [version.number for version in registry.versions(NAME)]


@pytest.mark.fault("F4")
def test_a_promotion_that_wakes_after_it_was_taken_for_dead_moves_no_alias(
    registry: Registry, run: str, promote_next: PromoteNext, tmp_path: Path
) -> None:
    promote_next()
    theirs = promotion(run, tmp_path / "theirs", champion=1)

    def sleep() -> None:
        with in_another_home(tmp_path), pytest.MonkeyPatch.context() as patch:
            patch.setattr(pending, "_OVER_MS", -1.0)
            promote(registry, theirs, exclusive=False)

    with pytest.raises(EnvironmentFailed, match="not found"):
        promote_next(at("promote.checked", sleep))

    assert {"champion": 3, "previous": 1} == registry.aliases(NAME)
    assert [3, 1] == [version.number for version in registry.versions(NAME)]
