"""Derived spaces and specs: full fidelity, without a pruner, and the stages of a search."""

import math
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import JsonValue

from risexp.config.run import RunConfig
from risexp.errors import SpaceInvalid
from risexp.space.check import check_space
from risexp.space.derived import (
    SCENES,
    SEED,
    StageTrial,
    confirming,
    scenes_are_free,
    stage_space,
    stage_spaces,
    unpruned,
    unused_seeds,
    verdict,
)
from risexp.space.spec import Keep, SearchSpace
from risexp.space.study_spec import StudySpec
from tests.support.spaces import RIDGE, learning, planted

EPOCHS: dict[str, object] = {"kind": "int", "low": 2, "high": 9}
SEEDS = [11, 12, 13]
ZERO_ONE = {"kind": "choice", "options": [0, 1]}


def ridge(overrides: tuple[str, ...] = (), epochs: int | None = None, **more: Any) -> StudySpec:  # noqa: ANN401 - the parts of a space's file
    """A spec that varies one field over the preset `smoke`, which trains three epochs."""
    parts = {"vary": {"sampled.ridge": RIDGE}, "base": "smoke", **more}
    return StudySpec.of(planted(**parts), overrides=overrides, epochs=epochs)


def cheap() -> StudySpec:
    """A spec of one epoch a trial."""
    return ridge(fixed={"training.epochs": 1, "training.patience": 1, "loss.cov": 0.3})


def full(spec: StudySpec, epochs: int | None = None) -> StudySpec:
    return confirming(spec, SEEDS, epochs)


def trained(spec: StudySpec) -> tuple[int, int | None, int]:
    training = spec.base.training
    return training.epochs, training.patience, training.seed


def test_epochs_and_patience_are_the_presets_and_nothing_else_changes() -> None:
    before = cheap()

    after = full(before)

    assert (3, None, 11) == trained(after)
    assert "full fidelity" == after.zero.origins["training.epochs"]
    back = {"training.epochs": 1, "training.patience": 1, SEED: 0, SCENES: 0}
    assert before.base == after.base.replace(back)
    assert 0.3 == after.base.loss.cov


def test_epochs_are_those_given_and_no_fewer_than_the_search_had() -> None:
    assert (7, None, 11) == trained(full(cheap(), 7))
    assert 5 == full(ridge(epochs=5)).base.training.epochs
    overridden = full(ridge(("training.seed=5", "loss.cov=0.2"), epochs=1))
    assert ((3, None, 11), 0.2) == (trained(overridden), overridden.base.loss.cov)
    without_preset = ridge(base=None, fixed={"training.epochs": 2})
    assert RunConfig().training.epochs == full(without_preset).base.training.epochs


def test_every_trial_has_every_seed_and_no_earlier_one() -> None:
    after = full(cheap())
    varied = full(ridge(vary={"sampled.ridge": RIDGE, SEED: ZERO_ONE}, start={SEED: 1}))

    assert {"sampled.ridge", SEED} == after.space.vary.keys()
    assert 11 == after.base_values()[SEED]
    for seed in SEEDS:
        assert after.space.vary[SEED].holds(seed)
        assert seed == after.resolve({**after.base_values(), SEED: seed}).config.training.seed
    assert not after.space.vary[SEED].holds(14)
    assert (11, SEEDS) == (varied.base.training.seed, varied.space.vary[SEED].ends())
    assert [1, 3, 4] == unused_seeds({0, 2, None}, 3)


def test_epochs_that_vary_stay_each_trials_own() -> None:
    vary = {"sampled.ridge": RIDGE, "training.epochs": EPOCHS}
    before = ridge(vary=vary, start={"training.epochs": 2})

    after = full(before)

    assert 2 == after.base.training.epochs
    assert EPOCHS == after.space.vary["training.epochs"].model_dump(include={"kind", "low", "high"})
    values = {**after.base_values(), "training.epochs": 8}
    assert 8 == after.resolve(values).config.training.epochs
    with pytest.raises(SpaceInvalid, match=r"--epochs 4: space planted varies training\.epochs"):
        full(before, 4)


def test_the_scenes_are_others_than_the_searchs_and_the_same_for_all() -> None:
    for overrides, seed in (((), 1), (("data.seed=4",), 0)):
        after = full(ridge(overrides))

        for each in SEEDS:
            values = {**after.base_values(), SEED: each}
            assert seed == after.resolve(values).config.data.seed
        assert "full fidelity" == after.zero.origins[SCENES]
        assert SCENES not in after.space.vary


def test_scenes_that_the_space_decides_stay_as_they_are() -> None:
    for parts in (
        {"vary": {"sampled.ridge": RIDGE, SCENES: ZERO_ONE}},
        {"forbid": [{SCENES: 1, "sampled.ridge": 1e-3}]},
        {"vary": {"sampled.ridge": {**RIDGE, "when": {SCENES: 0}}}},
    ):
        before = ridge(**parts)
        assert not scenes_are_free(before.space)
        assert 0 == full(before).base.data.seed


def test_a_space_that_asks_for_the_seed_cannot_be_confirmed() -> None:
    for parts in (
        {"forbid": [{SEED: 3, "sampled.ridge": 1e-3}]},
        {"vary": {"sampled.ridge": {**RIDGE, "when": {SEED: 0}}}},
    ):
        with pytest.raises(SpaceInvalid, match=r"what training\.seed is"):
            full(ridge(**parts))


@pytest.mark.parametrize(("derive", "suffix"), [(full, "confirm"), (unpruned, "audit")])
def test_a_derived_spec_has_no_pruner_and_learns_nothing(derive: Any, suffix: str) -> None:  # noqa: ANN401
    after = derive(StudySpec.of(learning(sampler={"kind": "gp", "seed": 4})))

    assert ("none", "random", 4) == (
        after.space.pruner.kind,
        after.space.sampler.kind,
        after.space.sampler.seed,
    )
    assert f"planted-{suffix}" == after.space.name
    assert after == StudySpec.from_json(after.as_json(), "study s")


def test_a_trial_without_a_pruner_is_the_same_run() -> None:
    before = StudySpec.of(learning(), overrides=["training.batch=8"], epochs=4)
    values = {**before.base_values(), "network.depth": 5}

    assert before.resolve(values).config == unpruned(before).resolve(values).config


WEIGHT: Mapping[str, object] = {"kind": "choice", "options": [0.0, 0.5, 1.0]}
OFF, ON = {"loss.subspace": 0.0}, {"loss.subspace": 1.0}


def staged(**more: object) -> SearchSpace:
    parts = {
        "name": "terms",
        "trials": 3,
        "base": "smoke",
        "fixed": {"loss.structure_share": 0.1},
        "stages": {"subspace": {"loss.subspace": WEIGHT}, "cross": {"loss.cross": WEIGHT}},
    }
    return SearchSpace.model_validate({**parts, **more})


def test_a_stage_is_a_space_that_starts_with_what_was_kept() -> None:
    space = stage_space(staged(pruner={"kind": "none"}), "cross", ON)
    twice = {"first": {"loss.cross": WEIGHT}, "second": {"loss.cross": WEIGHT}}

    again = stage_space(staged(stages=twice), "second", {"loss.cross": 0.5})

    zero = space.trial_zero().config
    assert ("terms-cross", 3, {"loss.cross"}) == (space.name, space.trials, set(space.vary))
    assert (1.0, 0.0, 0.1) == (zero.loss.subspace, zero.loss.cross, zero.loss.structure_share)
    assert "none" == space.pruner.kind
    assert () == check_space(space).problems
    assert 0.5 == again.trial_zero().config.loss.cross
    assert "loss.cross" not in again.fixed
    with pytest.raises(SpaceInvalid, match="no stage 'corss'; there are: subspace, cross"):
        stage_space(staged(), "corss", {})


def test_stages_come_alone_and_after_all_before_them() -> None:
    stages = list(stage_spaces(staged()))
    plain = SearchSpace.model_validate({"name": "s", "trials": 1, "vary": {"loss.cross": WEIGHT}})

    names = ["stage subspace: ", "stage cross: ", "stage cross after all before it: "]
    assert names == [name for name, _ in stages]
    assert [0.0, 0.0, 1.0] == [space.trial_zero().config.loss.subspace for _, space in stages]
    assert [("", plain)] == list(stage_spaces(plain))


def test_every_stage_is_checked() -> None:
    for more, problem in (
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
    ):
        problems = check_space(staged(**more)).problems

        assert any(each.startswith(problem) for each in problems), problems


def trial(
    values: Mapping[str, JsonValue], k_loc: float, k_acc: float, success: float
) -> StageTrial:
    return StageTrial(values, {"k_loc": k_loc, "k_acc": k_acc, "success_rate": success})


REFERENCE = trial(OFF, 3.0, 0.70, 0.50)


def test_a_stage_is_kept_where_its_scores_hold_or_lose_less_than_the_space_allows() -> None:
    worse = trial({"loss.subspace": 0.5}, 9.0, 0.9, 0.9)
    for best, kept in (
        (trial(ON, 2.9, 0.71, 0.51), True),
        (trial(ON, 3.04, 0.695, 0.495), True),
        (trial(ON, 3.1, 0.71, 0.51), False),
        (trial(ON, 2.9, 0.68, 0.51), False),
        (trial(ON, 2.9, 0.71, 0.48), False),
        (trial(ON, 2.9, math.nan, 0.51), False),
    ):
        judged = verdict(REFERENCE, [worse, best], Keep())

        assert (ON if kept else {}) == judged.kept
        assert judged.sentence.startswith("kept: " if kept else "left out: ")
        assert f"k_loc {best.scores['k_loc'] - 3.0:+.3f}" in judged.sentence
        assert best.scores["k_loc"] - 3.0 == judged.moved["k_loc"]

    lost = trial(ON, 2.9, 0.66, 0.51)
    assert ON == verdict(REFERENCE, [lost], Keep(k_acc=0.05)).kept
    assert {} == verdict(REFERENCE, [lost], Keep(k_acc=0.03)).kept
    nothing = verdict(REFERENCE, [], Keep())
    assert {} == nothing.kept
    assert "no trial came to its end" in nothing.sentence
