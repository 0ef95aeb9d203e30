"""The charters of studies that train another one's trials to their ends."""

from typing import Any

import pytest

from risexp.config.run import RunConfig
from risexp.errors import SpaceInvalid
from risexp.space.confirm import (
    SCENES,
    SEED,
    confirming,
    scenes_are_free,
    unpruned,
    unused_seeds,
)
from risexp.space.study_spec import StudySpec
from tests.support.spaces import RIDGE, learning, planted

EPOCHS: dict[str, object] = {"kind": "int", "low": 2, "high": 9}
SEEDS = [11, 12, 13]


def cheap(**more: Any) -> StudySpec:  # noqa: ANN401 - any field of a space
    """Of one epoch a trial, where the preset `smoke` says three."""
    fixed = {"training.epochs": 1, "training.patience": 1, "loss.cov": 0.3}
    said = {"base": "smoke", "fixed": fixed, **more}
    return StudySpec.of(planted({"sampled.ridge": RIDGE}, **said))


def full(charter: StudySpec, epochs: int | None = None) -> StudySpec:
    return confirming(charter, SEEDS, epochs, "full")


def told(charter: StudySpec) -> tuple[int, int | None, int]:
    training = charter.base.training
    return training.epochs, training.patience, training.seed


def test_epochs_and_patience_are_the_presets_and_nothing_else_changes() -> None:
    before = cheap()

    after = full(before)

    assert (3, None, 11) == told(after)
    back = {"training.epochs": 1, "training.patience": 1, SEED: 0, SCENES: 0}
    assert before.base == after.base.replace(back)
    assert 0.3 == after.base.loss.cov


def test_epochs_that_are_given_are_taken() -> None:
    assert (7, None, 11) == told(full(cheap(), 7))


def test_no_trial_is_shorter_than_the_search_was() -> None:
    assert (
        5
        == full(
            StudySpec.of(planted({"sampled.ridge": RIDGE}, base="smoke"), epochs=5)
        ).base.training.epochs
    )


def test_what_the_search_was_given_is_overruled() -> None:
    space = planted({"sampled.ridge": RIDGE}, base="smoke")
    before = StudySpec.of(
        space, overrides=["training.seed=5", "loss.cov=0.2"], epochs=1, patience=1
    )

    after = full(before)

    assert (3, None, 11) == told(after)
    assert 0.2 == after.base.loss.cov
    assert "full fidelity" == after.zero.origins["training.epochs"]


def test_without_a_preset_it_is_the_defaults_that_are_full() -> None:
    before = StudySpec.of(planted({"sampled.ridge": RIDGE}, fixed={"training.epochs": 2}))

    assert RunConfig().training.epochs == full(before).base.training.epochs


def test_every_trial_has_every_seed() -> None:
    after = full(cheap())

    assert {"sampled.ridge", SEED} == after.space.vary.keys()
    assert 11 == after.base_values()[SEED]
    for seed in SEEDS:
        assert after.space.vary[SEED].holds(seed)
        assert seed == after.resolve({**after.base_values(), SEED: seed}).config.training.seed
    assert not after.space.vary[SEED].holds(14)


def test_epochs_that_vary_stay_each_trials_own() -> None:
    vary = {"sampled.ridge": RIDGE, "training.epochs": EPOCHS}
    before = StudySpec.of(planted(vary, base="smoke", start={"training.epochs": 2}))

    after = full(before)

    assert 2 == after.base.training.epochs
    assert EPOCHS == after.space.vary["training.epochs"].model_dump(include={"kind", "low", "high"})
    values = {**after.base_values(), "training.epochs": 8}
    assert 8 == after.resolve(values).config.training.epochs
    with pytest.raises(SpaceInvalid, match=r"--epochs 4: space planted varies training\.epochs"):
        full(before, 4)


def test_a_seed_that_varied_gives_way_to_the_new_ones() -> None:
    vary = {"sampled.ridge": RIDGE, SEED: {"kind": "choice", "options": [0, 1]}}

    after = full(StudySpec.of(planted(vary, base="smoke", start={SEED: 1})))

    assert (11, SEEDS) == (after.base.training.seed, after.space.vary[SEED].ends())


@pytest.mark.parametrize(("overrides", "seed"), [((), 1), (("data.seed=4",), 0)])
def test_the_scenes_are_others_than_those_that_chose_and_the_same_for_all(
    overrides: tuple[str, ...], seed: int
) -> None:
    before = StudySpec.of(planted({"sampled.ridge": RIDGE}, base="smoke"), overrides=overrides)

    after = full(before)

    for each in SEEDS:
        values = {**after.base_values(), SEED: each}
        assert seed == after.resolve(values).config.data.seed
    assert "full fidelity" == after.zero.origins[SCENES]
    assert SCENES not in after.space.vary


@pytest.mark.parametrize(
    "said",
    [
        {"vary": {"sampled.ridge": RIDGE, SCENES: {"kind": "choice", "options": [0, 1]}}},
        {"forbid": [{SCENES: 1, "sampled.ridge": 1e-3}]},
        {"vary": {"sampled.ridge": {**RIDGE, "when": {SCENES: 0}}}},
    ],
)
def test_scenes_that_a_space_itself_decides_are_left_as_they_are(said: dict[str, Any]) -> None:
    before = StudySpec.of(planted(**{"vary": {"sampled.ridge": RIDGE}, "base": "smoke", **said}))

    assert not scenes_are_free(before.space)
    assert 0 == full(before).base.data.seed


@pytest.mark.parametrize(
    "said",
    [
        {"forbid": [{SEED: 3, "sampled.ridge": 1e-3}]},
        {"vary": {"sampled.ridge": {**RIDGE, "when": {SEED: 0}}}},
    ],
)
def test_a_space_that_asks_for_the_seed_cannot_be_confirmed(said: dict[str, Any]) -> None:
    before = StudySpec.of(planted(**{"vary": {"sampled.ridge": RIDGE}, "base": "smoke", **said}))

    with pytest.raises(SpaceInvalid, match=r"what training\.seed is"):
        full(before)


@pytest.mark.parametrize("derived", [full, lambda charter: unpruned(charter, "audit")])
def test_no_trial_is_ended_early_and_none_is_learned_from(derived: Any) -> None:  # noqa: ANN401
    after = derived(StudySpec.of(learning(sampler={"kind": "gp", "seed": 4})))

    assert ("none", "random", 4) == (
        after.space.pruner.kind,
        after.space.sampler.kind,
        after.space.sampler.seed,
    )


def test_a_trial_that_is_not_pruned_is_the_same_run() -> None:
    before = StudySpec.of(learning(), overrides=["training.batch=8"], epochs=4)
    values = {**before.base_values(), "network.depth": 5}

    after = unpruned(before, "audit")

    assert before.resolve(values).config == after.resolve(values).config
    assert "audit" == after.space.name


@pytest.mark.parametrize("derived", [full, lambda charter: unpruned(charter, "audit")])
def test_it_is_the_same_after_it_was_written_down(derived: Any) -> None:  # noqa: ANN401
    after = derived(cheap())

    assert after == StudySpec.from_json(after.as_json(), "study s")


def test_seeds_that_were_used_are_passed_over() -> None:
    assert [1, 3, 4] == unused_seeds({0, 2, None}, 3)
