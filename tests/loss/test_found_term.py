"""What counts as found, and what the head is told of it."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from risexp.evaluation.matching import TOLERANCE
from risexp.loss.found_term import ANGLE_RAD, RANGE_M, all_found, found_error
from risexp.loss.perfect import SURE
from risexp.loss.target import Target
from risexp.model.prediction import Prediction
from tests.support.predictions import best_prediction, guess_of, random_prediction, small_target


def moved(target: Target, **shifts: Tensor) -> Prediction:
    """The labels as an answer, some of its pointers moved."""
    best = best_prediction(target)
    pointers = {name: getattr(best.pointers, name) + shift for name, shift in shifts.items()}
    return replace(best, pointers=replace(best.pointers, **pointers))


def found(target: Target, prediction: Prediction) -> Tensor:
    return all_found(guess_of(prediction, target))


def test_what_is_found_is_what_counts_as_success(device: torch.device) -> None:
    tolerance = torch.tensor([ANGLE_RAD, ANGLE_RAD]).rad2deg().tolist()

    assert pytest.approx([*tolerance, RANGE_M]) == list(TOLERANCE)
    target = small_target(device=device)
    assert bool(found(target, best_prediction(target)).all())


@pytest.mark.parametrize("name", ["phi_rad", "theta_rad"])
def test_a_single_source_too_far_off_is_not_found(device: torch.device, name: str) -> None:
    target = small_target(device=device)
    last = torch.arange(target.sources_max, device=device) == (target.count - 1).unsqueeze(-1)

    near = moved(target, **{name: 0.9 * ANGLE_RAD * last})
    far = moved(target, **{name: 1.1 * ANGLE_RAD * last})

    assert bool(found(target, near).all())
    assert not bool(found(target, far).any())


def test_a_metre_is_what_a_range_may_be_off(device: torch.device) -> None:
    target = small_target(device=device)
    true = torch.where(target.present, target.rho, 1.0).reciprocal()

    near, far = (
        moved(target, rho=(true + metres).reciprocal() - true.reciprocal()) for metres in (0.9, 1.1)
    )

    assert bool(found(target, near).all())
    assert not bool(found(target, far).any())


def test_a_source_in_a_slot_that_would_not_be_chosen_is_not_found(device: torch.device) -> None:
    target = small_target(device=device)
    best = best_prediction(target)
    doubted = replace(best, pointers=replace(best.pointers, existence=-best.pointers.existence))

    held = found(target, doubted)

    # Every absent slot is likelier than every present one.
    assert torch.equal(target.sources_max - target.count < target.count, held)


def test_only_the_logit_of_the_true_count_is_told(device: torch.device) -> None:
    target = small_target(device=device)
    prediction = random_prediction(target)

    (slope,) = torch.autograd.grad(
        found_error(guess_of(prediction, target)).sum(), prediction.found_logits
    )

    told = torch.arange(target.sources_max, device=device) == (target.count - 1).unsqueeze(-1)
    assert torch.equal(told, slope != 0.0)


def test_being_sure_and_wrong_costs_what_it_should(device: torch.device) -> None:
    target = small_target(device=device)
    best = best_prediction(target)
    doubting = replace(best, found_logits=-best.found_logits)

    assert float(found_error(guess_of(best, target)).max()) < 1e-6
    assert pytest.approx(SURE, rel=1e-5) == float(found_error(guess_of(doubting, target)).min())
