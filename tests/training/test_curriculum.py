"""The table of epochs: beta, phases, weights and ramps, as they are configured."""

import pytest

from risexp.config.learning import STRUCTURE, LossConfig, LossWeights
from risexp.errors import ConfigInvalid
from risexp.loss.terms import MAIN, TERMS
from risexp.training.curriculum import curriculum
from risexp.training.plan import Plan
from tests.support.trainers import small_config

SECTION: dict[str, float] = LossConfig().model_dump(include=set(LossWeights.model_fields))


def table(epochs: int, **changes: object) -> tuple[Plan, ...]:
    return curriculum(small_config(training__epochs=epochs, **changes))


def test_beta_rises_to_its_final_value_in_a_fifth_of_the_epochs_and_in_two_at_least() -> None:
    betas = [plan.beta for plan in table(30, beta__final=0.3)]
    missed = table(100, beta__final=1.0, beta__ramp_share=0.29)

    assert [0.0, 0.06, 0.12, 0.18, 0.24, 0.3] == pytest.approx(betas[:6], abs=1e-15)
    assert [0.3] * 25 == betas[5:]
    assert [0.1, 0.4, 0.4] == [plan.beta for plan in table(3, beta__start=0.1, beta__final=0.4)]
    # Binary numbers miss 0.29, which must not round the ramp down.
    assert [28 / 28, 27 / 28] == [missed[28].beta, missed[27].beta]


def test_jitter_stays_within_its_width_and_the_unit_interval() -> None:
    plans = table(200, beta__final=0.3, beta__jitter=0.05, beta__ramp_share=0.0)

    betas = [plan.beta for plan in plans[2:]]

    assert all(0.25 <= beta <= 0.35 for beta in betas)
    assert min(betas) < 0.26
    assert max(betas) > 0.34
    assert len(set(betas)) == len(betas)
    assert all(plan.beta >= 0.0 for plan in table(50, beta__jitter=0.5))


def test_jitter_depends_on_seed_and_epoch_alone() -> None:
    changes = {"beta__jitter": 0.05, "beta__start": 0.5, "beta__final": 0.5}
    short, long, other = (
        [plan.beta for plan in table(epochs, **changes, training__seed=seed)]
        for epochs, seed in ((9, 0), (20, 0), (9, 1))
    )

    assert other != short == long[:9]


@pytest.mark.parametrize(
    ("phase", "weights"),
    [
        ("geometry", {"cov": 0.5, "subspace": 0.5, "pointers": 1.0, "count": 0.1, "found": 0.2}),
        ("count", {"cov": 0.1, "pointers": 0.5, "count": 1.5, "found": 0.2}),
        ("joint", {name: weight for name, weight in SECTION.items() if weight}),
    ],
)
def test_a_phase_has_the_weights_of_its_own_section(phase: str, weights: dict[str, float]) -> None:
    changes = {"curriculum.phase": phase, "curriculum.count_backbone_lr": 0.1}
    (plan,) = curriculum(small_config(training__epochs=1).replace(changes))

    assert weights == plan.active
    assert set(LossWeights.model_fields) == set(plan.weights)


def test_three_phases_take_their_shares_of_three_epochs_or_more() -> None:
    def lengths(epochs: int, **shares: float) -> list[int]:
        plans = table(epochs, curriculum__phase="three-phase", **shares)
        assert list(range(1, epochs + 1)) == [plan.epoch for plan in plans]
        phases = [plan.phase for plan in plans]
        assert ["geometry", "count", "joint"] == list(dict.fromkeys(phases))
        return [phases.count(phase) for phase in ("geometry", "count", "joint")]

    small = {"curriculum__geometry_share": 0.01, "curriculum__count_share": 0.01}
    large = {"curriculum__geometry_share": 0.6, "curriculum__count_share": 0.39}
    assert [3, 3, 4] == lengths(10)
    assert [[1, 1, 1], [1, 1, 58]] == [lengths(epochs, **small) for epochs in (3, 60)]
    assert [[1, 1, 1], [2, 1, 1], [36, 23, 1]] == [lengths(n, **large) for n in (3, 4, 60)]
    with pytest.raises(ConfigInvalid, match="three or more"):
        table(2, curriculum__phase="three-phase")


def test_only_the_count_phase_freezes_the_backbone() -> None:
    plans = table(3, curriculum__phase="three-phase")
    slow = table(3, curriculum__phase="three-phase", curriculum__count_backbone_lr=0.1)

    assert [(), ("backbone",), ()] == [plan.frozen for plan in plans]
    assert [1.0, 0.1, 1.0] == [plan.rates["backbone"] for plan in slow]
    assert {1.0} == {plan.rates["heads"] for plan in (*plans, *slow)}


def test_the_count_comes_in_from_a_tenth() -> None:
    plans = table(6, curriculum__count_ramp=4, loss__count=2.0)

    weights = [plan.weights["count"] for plan in plans]

    assert [0.2, 0.8, 1.4, 2.0, 2.0, 2.0] == pytest.approx(weights)


def test_structure_comes_in_from_nothing_and_main_terms_at_once() -> None:
    changes = {f"loss.{name}": 0.4 for name in STRUCTURE}
    plans = curriculum(
        small_config(training__epochs=5, curriculum__structure_ramp=3).replace(changes)
    )

    assert set(TERMS) - MAIN == set(STRUCTURE)
    for name in STRUCTURE:
        assert [0.0, 0.2, 0.4, 0.4, 0.4] == [plan.weights[name] for plan in plans]
    for name in MAIN:
        assert 1 == len({plan.weights[name] for plan in plans})


def test_the_ramp_of_the_count_begins_with_its_phase() -> None:
    """Once: it was counted from the first epoch, and over before the count phase began."""
    changes = {"curriculum.geometry.count": 0.5, "curriculum.count.count": 1.0, "loss.count": 2.0}
    phased = small_config(training__epochs=10, curriculum__phase="three-phase").replace(changes)
    plans, plain = (curriculum(phased.replace({"curriculum.count_ramp": ramp})) for ramp in (4, 0))

    phases = ["geometry"] * 3 + ["count"] * 3 + ["joint"] * 4
    assert phases == [plan.phase for plan in plans]
    weights = [plan.weights["count"] for plan in plans]
    assert [0.05] * 3 + [0.1, 0.4, 0.7] + [2.0] * 4 == pytest.approx(weights)
    assert 7 == next(plan.epoch for plan in plans if plan.judged)
    assert [0.5] * 3 + [1.0] * 3 + [2.0] * 4 == [plan.weights["count"] for plan in plain]


def test_the_ramp_of_structure_begins_with_the_first_phase_that_has_some() -> None:
    def weights(**geometry: float) -> list[float]:
        config = small_config(training__epochs=10, curriculum__phase="three-phase").replace(
            {f"curriculum.geometry.{name}": weight for name, weight in geometry.items()}
            | {"loss.subspace": 0.4, "curriculum.structure_ramp": 3}
        )
        return [plan.weights["subspace"] for plan in curriculum(config)]

    assert [0.0] * 6 + [0.0, 0.2, 0.4, 0.4] == pytest.approx(weights(subspace=0.0))
    assert [0.0, 0.3, 0.6] + [0.0] * 3 + [0.4] * 4 == pytest.approx(weights(subspace=0.6))


def test_a_full_blend_makes_the_prediction_carry_a_fifth() -> None:
    full = table(2, beta__start=1.0, beta__final=1.0, loss__cov=0.5)
    nearly = table(2, beta__start=0.99, beta__final=0.99, loss__cov=0.5)
    heavier = table(2, beta__start=1.0, beta__final=1.0, loss__cov=0.5, loss__cov_pred=0.3)

    assert [0.1, 0.05, 0.3] == [plans[-1].weights["cov_pred"] for plans in (full, nearly, heavier)]


def test_epochs_are_judged_once_all_ramps_are_over() -> None:
    def first_judged(**changes: object) -> int:
        return next(plan.epoch for plan in table(20, **changes) if plan.judged)

    assert 1 == first_judged()
    assert 4 == first_judged(beta__final=0.3)
    assert 1 == first_judged(beta__start=0.3, beta__final=0.3)
    assert 6 == first_judged(beta__final=0.3, curriculum__count_ramp=6)
    ramps = {"curriculum__count_ramp": 6, "curriculum__structure_ramp": 7}
    assert 7 == first_judged(**ramps, loss__subspace=0.1)
    assert 6 == first_judged(**ramps)
    assert 1 == first_judged(**ramps, loss__count=0.0)
    assert 20 == first_judged(curriculum__count_ramp=20)


def test_a_ramp_that_does_not_come_to_its_end_is_refused() -> None:
    structure: dict[str, object] = {"curriculum__structure_ramp": 9, "loss__subspace": 0.1}
    ramps: tuple[tuple[int, dict[str, object], str], ...] = (
        (5, {"curriculum__count_ramp": 6}, "6 epochs of curriculum.count_ramp"),
        (5, structure, "9 epochs of curriculum.structure_ramp"),
        (1, {"beta__final": 0.3}, "2 epochs of beta.ramp_share"),
        (
            10,
            {"curriculum__count_ramp": 8, "curriculum__phase": "three-phase"},
            "8 epochs of curriculum.count_ramp, which begin with epoch 4",
        ),
    )
    for epochs, changes, said in ramps:
        with pytest.raises(ConfigInvalid) as caught:
            table(epochs, **changes)

        assert f"training.epochs = {epochs} end before the {said}" in str(caught.value)
        assert "\n" not in str(caught.value)
