"""The terms an answer is for: what each of them sees, and what it does not."""

from dataclasses import replace

import pytest
import torch

from risexp.covariance.effective import effective
from risexp.covariance.factored import FactoredCovariance
from risexp.loss.main_terms import (
    covariance_error,
    existence_error,
    pointer_error,
    predicted_error,
)
from risexp.loss.perfect import SURE
from tests.support.predictions import (
    ALPHA_BASE,
    best_prediction,
    gradients,
    guess_of,
    random_prediction,
    scored,
    small_target,
)
from tests.support.scenes import gaussian, matrix, worst


def test_cov_is_the_nmse_of_the_dense_matrices(device: torch.device) -> None:
    target = small_target(device=device)
    prediction = random_prediction(target)
    ours, theirs = matrix(prediction.effective.detach()), matrix(target.effective)

    expected = (ours - theirs).abs().square().sum((-2, -1)) / theirs.abs().square().sum((-2, -1))

    assert worst(expected, scored(covariance_error, prediction, target)) < 1e-9


def test_without_samples_both_covariance_errors_agree(device: torch.device) -> None:
    target = small_target(device=device)
    guess = guess_of(random_prediction(target), target)

    torch.testing.assert_close(covariance_error(guess), predicted_error(guess))


def test_only_cov_sees_the_samples(device: torch.device) -> None:
    target = small_target(device=device)
    prediction = random_prediction(target)
    field = gaussian(len(target), 36, 1).to(device, torch.complex64)
    blended = replace(
        prediction,
        effective=effective(
            prediction.predicted,
            target.snr_db,
            FactoredCovariance.from_factor(field),
            0.6,
            alpha_base=ALPHA_BASE,
        ),
    )
    plain, mixed = guess_of(prediction, target), guess_of(blended, target)

    apart = (covariance_error(plain) - covariance_error(mixed)).detach()
    assert torch.equal(predicted_error(plain), predicted_error(mixed))
    assert float(apart.abs().min()) > 1e-3
    assert gradients(covariance_error(mixed).sum(), blended)["angle_factor"].abs().max() > 0.0


def test_a_covariance_error_does_not_depend_on_the_scale_of_the_answer(
    device: torch.device,
) -> None:
    target = small_target(device=device)
    prediction = random_prediction(target)
    faint = replace(
        prediction,
        angle_factor=1e-6 * prediction.angle_factor,
        range_factor=1e-6 * prediction.range_factor,
    )

    one, other = (scored(predicted_error, each, target) for each in (prediction, faint))

    torch.testing.assert_close(one, other, rtol=1e-5, atol=0.0)


def test_pointers_are_charged_the_mean_over_sources_that_are_there(device: torch.device) -> None:
    target = small_target(device=device)
    best = best_prediction(target)
    tilted = replace(best.pointers, phi_rad=best.pointers.phi_rad + torch.pi / 36)

    errors = scored(pointer_error, replace(best, pointers=tilted), target)

    torch.testing.assert_close(torch.full_like(errors, 0.9 / 3.5), errors)


def test_pointers_of_absent_sources_have_no_gradient(device: torch.device) -> None:
    target = small_target(device=device)
    prediction = random_prediction(target)
    guess = guess_of(prediction, target)

    found = gradients(pointer_error(guess).sum(), prediction)

    assert {"phi_rad", "theta_rad", "rho"} == found.keys()
    for gradient in found.values():
        assert float(gradient[~guess.filled].abs().max()) == 0.0
        assert float(gradient[guess.filled].abs().min()) > 0.0


@pytest.mark.parametrize(("slot", "charge"), [(0, "a source that is denied"), (4, "one invented")])
def test_a_wrong_existence_is_charged(device: torch.device, slot: int, charge: str) -> None:
    target = small_target(device=device)
    best = best_prediction(target)
    existence = best.pointers.existence.clone()
    existence[:, slot] *= -1
    flipped = replace(best, pointers=replace(best.pointers, existence=existence))
    # In a scene of five sources the last slot holds one as well; both ways round it is wrong.
    errors = scored(existence_error, flipped, target)

    assert bool((errors > SURE / 5 - 1e-3).all()), charge


def test_existence_of_perfect_slots_is_free(device: torch.device) -> None:
    target = small_target(device=device)

    assert scored(existence_error, best_prediction(target), target).max() < 1e-9
