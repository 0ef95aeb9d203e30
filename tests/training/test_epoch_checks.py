"""What must hold of every epoch, and the sentence that says what does not."""

import math
from dataclasses import replace
from typing import Any

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
STILL = replace(STEPS, moved={"backbone": 0.0, "heads": 0.4})
LIMITS = Limits()
ODD = replace(LOSSES, total=1.05, weighted={"cov": 0.5, "count": 0.55})


def guards(steps: Steps = STEPS, losses: Losses = LOSSES, limits: Limits = LIMITS) -> list[str]:
    return [fault.guard for fault in faults(PLAN, steps, losses, limits)]


def refused(count: int) -> dict[str, Any]:
    return {"taken": 100 - count, "refused": tuple(range(count))}


@pytest.mark.parametrize(
    ("expected", "changes"),
    [
        ([], {}),
        ([], refused(5)),
        (["refused"], refused(6)),
        (["steps"], {"taken": 97}),
        (["moved"], {"moved": STILL.moved}),
        (["weights"], {"moved": {"backbone": math.nan, "heads": 0.4}}),
        (["weights"], {"moved": {"backbone": math.inf, "heads": 0.4}}),
        (["average"], {"average_distance": math.nan}),
        (["average"], {"average_distance": math.inf}),
        (["average"], {"average_distance": 0.0}),
        (["average"], {"average_moved": 0.0}),
        ([], {"average_distance": 0.0, "total": 1}),
        ([], {"average_distance": None, "average_moved": None}),
    ],
)
def test_each_fault_of_the_steps_and_weights_is_named(
    expected: list[str], changes: dict[str, Any]
) -> None:
    assert expected == guards(replace(STEPS, **changes))


def test_limits_and_frozen_parts_are_those_of_the_run() -> None:
    frozen = [faults(FROZEN, steps, LOSSES, LIMITS) for steps in (STEPS, STILL)]

    assert [] == guards(replace(STEPS, **refused(6)), limits=Limits(refused_share=0.06))
    assert [["moved"], []] == [[fault.guard for fault in found] for found in frozen]


def test_a_loss_of_no_step_of_zero_or_of_other_terms_or_weights_is_a_fault() -> None:
    zero = Losses(98, 0.0, {"cov": 0.0, "count": 0.0}, {"cov": 0.0, "count": 0.0})
    nothing = Losses(0, math.nan, {"cov": math.nan}, {"cov": math.nan})

    assert ["steps", "refused"] == guards(replace(STEPS, **refused(100)), nothing)
    assert ["loss", "covariance"] == guards(losses=zero)
    assert ["loss"] == guards(losses=replace(LOSSES, total=2.01))
    assert ["plan"] == guards(losses=ODD)
    assert [] == guards(losses=ODD, limits=Limits(fixed_weights=False))


def test_a_weighted_covariance_error_out_of_its_bounds_is_a_fault() -> None:
    limits = Limits(fixed_weights=False)
    unweighted = replace(LOSSES, raw={"count": 1.0}, weighted={"count": 2.0})
    for cov, expected in ((1e-12, []), (99.0, []), (0.0, ["covariance"]), (100.0, ["covariance"])):
        losses = replace(LOSSES, raw={**LOSSES.raw, "cov": cov})
        assert expected == guards(losses=losses, limits=limits), cov

    assert [] == guards(losses=unweighted, limits=limits)


def test_the_first_fault_is_raised_with_guard_and_epoch() -> None:
    with pytest.raises(TrainingAborted, match=r"epoch 7: the term count adds 0\.55") as caught:
        expect_sound(PLAN, STEPS, ODD, Limits())

    assert ("plan", 4) == (caught.value.guard, caught.value.exit_code)
    expect_sound(PLAN, STEPS, LOSSES, LIMITS)
