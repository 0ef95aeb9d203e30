"""What must hold of every epoch, and the sentence that says what does not."""

import math
from dataclasses import replace

import pytest

from risexp.errors import TrainingAborted
from risexp.training.epoch_checks import Limits, expect_sound, faults
from risexp.training.meters import Losses, Steps
from tests.training.test_plan import SOME

PLAN = replace(SOME, weights={"cov": 0.5, "count": 1.5}, rates={"backbone": 1.0, "heads": 1.0})
FROZEN = replace(PLAN, rates={"backbone": 0.0, "heads": 1.0})
STEPS = Steps(
    batches=100,
    taken=98,
    refused=(3, 5),
    total=200,
    lr={"backbone": 0.1, "heads": 0.1},
    grad_norm=1.0,
    grad_norm_max=2.0,
    clipped=9,
    moved={"backbone": 0.3, "heads": 0.4},
    average_distance=0.2,
    average_moved=0.3,
)
LOSSES = Losses(
    scenes=98, total=2.0, raw={"cov": 1.0, "count": 1.0}, weighted={"cov": 0.5, "count": 1.5}
)
LIMITS = Limits()
ODD = replace(LOSSES, total=1.05, weighted={"cov": 0.5, "count": 0.55})


def guards(steps: Steps = STEPS, losses: Losses = LOSSES, limits: Limits = LIMITS) -> list[str]:
    return [fault.guard for fault in faults(PLAN, steps, losses, limits)]


def test_a_sound_epoch_has_no_fault() -> None:
    assert [] == guards()
    expect_sound(PLAN, STEPS, LOSSES, Limits())


def test_no_more_refused_steps_are_borne_than_the_limit() -> None:
    five, six = (replace(STEPS, taken=100 - n, refused=tuple(range(n))) for n in (5, 6))

    assert ([], ["refused"]) == (guards(five), guards(six))
    assert [] == guards(six, limits=Limits(refused_share=0.06))


def test_a_batch_or_an_epoch_without_a_step_is_a_fault() -> None:
    none = replace(STEPS, taken=0, refused=tuple(range(100)))
    nothing = Losses(0, math.nan, {"cov": math.nan}, {"cov": math.nan})

    assert ["steps"] == guards(replace(STEPS, taken=97))
    assert ["steps", "refused"] == guards(none, nothing)


def test_a_part_that_stands_still_or_moves_though_frozen_is_a_fault() -> None:
    still = replace(STEPS, moved={"backbone": 0.0, "heads": 0.4})

    assert ["moved"] == guards(still)
    assert () == faults(FROZEN, still, LOSSES, Limits())
    assert ["moved"] == [fault.guard for fault in faults(FROZEN, STEPS, LOSSES, Limits())]


def test_weights_that_are_not_finite_are_a_fault() -> None:
    for value in (math.nan, math.inf):
        assert ["weights"] == guards(replace(STEPS, moved={"backbone": value, "heads": 0.4}))
        assert ["average"] == guards(replace(STEPS, average_distance=value))


def test_an_average_that_is_plain_or_stands_still_is_a_fault() -> None:
    assert ["average"] == guards(replace(STEPS, average_distance=0.0))
    assert ["average"] == guards(replace(STEPS, average_moved=0.0))
    assert [] == guards(replace(STEPS, average_distance=0.0, total=1))
    assert [] == guards(replace(STEPS, average_distance=None, average_moved=None))


def test_a_total_of_zero_or_of_other_terms_is_a_fault() -> None:
    zero = Losses(98, 0.0, {"cov": 0.0, "count": 0.0}, {"cov": 0.0, "count": 0.0})

    assert ["loss", "covariance"] == guards(losses=zero)
    assert ["loss"] == guards(losses=replace(LOSSES, total=2.01))


def test_a_weighted_covariance_error_out_of_its_bounds_is_a_fault() -> None:
    limits = Limits(fixed_weights=False)
    unweighted = replace(LOSSES, raw={"count": 1.0}, weighted={"count": 2.0})
    for cov, expected in ((1e-12, []), (99.0, []), (0.0, ["covariance"]), (100.0, ["covariance"])):
        losses = replace(LOSSES, raw={**LOSSES.raw, "cov": cov})
        assert expected == guards(losses=losses, limits=limits), cov

    assert [] == guards(losses=unweighted, limits=limits)


def test_a_weight_other_than_the_plans_is_a_fault_unless_weights_are_learned() -> None:
    assert ["plan"] == guards(losses=ODD)
    assert [] == guards(losses=ODD, limits=Limits(fixed_weights=False))


def test_the_first_fault_is_raised_with_guard_and_epoch() -> None:
    with pytest.raises(TrainingAborted, match=r"epoch 7: the term count adds 0\.55") as caught:
        expect_sound(PLAN, STEPS, ODD, Limits())

    assert "plan" == caught.value.guard
    assert 4 == caught.value.exit_code
