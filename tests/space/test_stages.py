"""Searches one after another: what each searches, and when what it found is kept."""

import math
from collections.abc import Mapping

import pytest
from pydantic import JsonValue

from risexp.errors import SpaceInvalid
from risexp.space.check import check_space
from risexp.space.spec import Keep, SearchSpace
from risexp.space.stages import StageTrial, stage_space, stage_spaces, verdict

WEIGHT: Mapping[str, object] = {"kind": "choice", "options": [0.0, 0.5, 1.0]}
OFF, ON = {"loss.subspace": 0.0}, {"loss.subspace": 1.0}


def staged(**more: object) -> SearchSpace:
    said = {
        "name": "terms",
        "trials": 3,
        "base": "smoke",
        "fixed": {"loss.structure_share": 0.1},
        "stages": {"subspace": {"loss.subspace": WEIGHT}, "cross": {"loss.cross": WEIGHT}},
    }
    return SearchSpace.model_validate({**said, **more})


def test_a_stage_is_a_space_that_begins_with_what_was_kept() -> None:
    space = stage_space(staged(pruner={"kind": "none"}), "cross", ON)

    zero = space.trial_zero().config

    assert ("terms-cross", 3, {"loss.cross"}) == (space.name, space.trials, set(space.vary))
    assert (1.0, 0.0, 0.1) == (zero.loss.subspace, zero.loss.cross, zero.loss.structure_share)
    assert space.pruner.kind == "none"
    assert check_space(space).problems == ()


def test_a_stage_that_varies_again_what_was_kept_starts_from_there() -> None:
    again = {"first": {"loss.cross": WEIGHT}, "second": {"loss.cross": WEIGHT}}

    space = stage_space(staged(stages=again), "second", {"loss.cross": 0.5})

    assert space.trial_zero().config.loss.cross == 0.5
    assert "loss.cross" not in space.fixed


def test_an_unknown_stage_is_told_the_known_ones() -> None:
    with pytest.raises(SpaceInvalid, match="no stage 'corss'; there are: subspace, cross"):
        stage_space(staged(), "corss", {})


def test_stages_are_looked_at_alone_and_after_all_before_them() -> None:
    found = list(stage_spaces(staged()))

    assert ["stage subspace: ", "stage cross: ", "stage cross after all before it: "] == [
        said for said, _ in found
    ]
    assert [0.0, 0.0, 1.0] == [space.trial_zero().config.loss.subspace for _, space in found]


def test_a_space_without_stages_is_its_own_only_one() -> None:
    space = SearchSpace.model_validate({"name": "s", "trials": 1, "vary": {"loss.cross": WEIGHT}})

    assert [("", space)] == list(stage_spaces(space))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            {"stages": {"one": {"loss.croos": WEIGHT}}},
            "stage one: vary: there is no field 'loss.croos'",
        ),
        (
            {"fixed": {"loss.cross": 0.5}},
            "stage cross: loss.cross is both fixed and varied: keep one",
        ),
        (
            # Half of the total each, and nothing is left for the main terms.
            {"fixed": {"loss.structure_share": 0.5}},
            "stage cross after all before it: loss.cross = 1.0 is no run: loss.structure_share",
        ),
    ],
)
def test_every_stage_is_checked(more: Mapping[str, object], said: str) -> None:
    problems = check_space(staged(**more)).problems

    assert any(each.startswith(said) for each in problems), problems


def trial(
    values: Mapping[str, JsonValue], k_loc: float, k_acc: float, success: float
) -> StageTrial:
    return StageTrial(values, {"k_loc": k_loc, "k_acc": k_acc, "success_rate": success})


REFERENCE = trial(OFF, 3.0, 0.70, 0.50)


@pytest.mark.parametrize(
    ("best", "kept"),
    [
        (trial(ON, 2.9, 0.71, 0.51), True),
        (trial(ON, 3.04, 0.695, 0.495), True),
        (trial(ON, 3.1, 0.71, 0.51), False),
        (trial(ON, 2.9, 0.68, 0.51), False),
        (trial(ON, 2.9, 0.71, 0.48), False),
        (trial(ON, 2.9, math.nan, 0.51), False),
    ],
    ids=["better", "holds", "k_loc", "k_acc", "success", "nan"],
)
def test_a_stage_is_kept_where_its_scores_hold(best: StageTrial, kept: bool) -> None:
    worse = trial({"loss.subspace": 0.5}, 9.0, 0.9, 0.9)

    found = verdict(REFERENCE, [worse, best], Keep())

    assert found.kept == (ON if kept else {})
    assert found.sentence.startswith("kept: " if kept else "left out: ")
    assert f"k_loc {best.scores['k_loc'] - 3.0:+.3f}" in found.sentence
    assert best.scores["k_loc"] - 3.0 == found.moved["k_loc"]


def test_how_much_may_be_lost_is_the_spaces_to_say() -> None:
    lost = trial(ON, 2.9, 0.66, 0.51)

    assert verdict(REFERENCE, [lost], Keep(k_acc=0.05)).kept == ON
    assert verdict(REFERENCE, [lost], Keep(k_acc=0.03)).kept == {}


def test_a_stage_without_a_complete_trial_keeps_nothing() -> None:
    found = verdict(REFERENCE, [], Keep())

    assert found.kept == {}
    assert "no trial came to its end" in found.sentence
