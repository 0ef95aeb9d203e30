"""The main terms: covariances, pointers, existence, found sources and heat map."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from risexp.covariance.effective import effective
from risexp.covariance.factored import FactoredCovariance
from risexp.evaluation.matching import TOLERANCE
from risexp.loss.main_terms import (
    ANGLE_RAD,
    RANGE_M,
    all_found,
    covariance_error,
    existence_error,
    found_error,
    heat_error,
    pointer_error,
    predicted_error,
    source_cells,
)
from risexp.loss.self_test import SURE
from risexp.loss.target import Target
from risexp.model.prediction import Prediction
from risexp.physics.geometry import direction_cosines
from tests.support.predictions import (
    ALPHA_BASE,
    best_prediction,
    gradients,
    pair_of,
    random_heat,
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
    pair = pair_of(random_prediction(target), target)

    torch.testing.assert_close(covariance_error(pair), predicted_error(pair))


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
    plain, mixed = pair_of(prediction, target), pair_of(blended, target)

    apart = (covariance_error(plain) - covariance_error(mixed)).detach()
    assert torch.equal(predicted_error(plain), predicted_error(mixed))
    assert float(apart.abs().min()) > 1e-3
    assert gradients(covariance_error(mixed).sum(), blended)["angle_factor"].abs().max() > 0.0


def test_pointers_are_charged_the_mean_over_sources_that_are_there(device: torch.device) -> None:
    target = small_target(device=device)
    best = best_prediction(target)
    tilted = replace(best.pointers, phi_rad=best.pointers.phi_rad + torch.pi / 36)

    errors = scored(pointer_error, replace(best, pointers=tilted), target)

    torch.testing.assert_close(torch.full_like(errors, 0.9 / 3.5), errors)


def test_pointers_of_absent_sources_have_no_gradient(device: torch.device) -> None:
    target = small_target(device=device)
    prediction = random_prediction(target)
    pair = pair_of(prediction, target)

    found = gradients(pointer_error(pair).sum(), prediction)

    assert {"phi_rad", "theta_rad", "rho"} == found.keys()
    for gradient in found.values():
        assert 0.0 == float(gradient[~pair.filled].abs().max())
        assert float(gradient[pair.filled].abs().min()) > 0.0


def test_a_wrong_existence_is_charged(device: torch.device) -> None:
    cases: list[tuple[int, str]] = [(0, "a source that is denied"), (4, "one invented")]
    for slot, charge in cases:
        target = small_target(device=device)
        best = best_prediction(target)
        existence = best.pointers.existence.clone()
        existence[:, slot] *= -1
        flipped = replace(best, pointers=replace(best.pointers, existence=existence))
        # In a scene of five sources the last slot holds one as well; both ways round it is wrong.
        errors = scored(existence_error, flipped, target)

        assert bool((errors > SURE / 5 - 1e-3).all()), charge


def moved(target: Target, **shifts: Tensor) -> Prediction:
    """The labels as an answer, some of its pointers moved."""
    best = best_prediction(target)
    pointers = {name: getattr(best.pointers, name) + shift for name, shift in shifts.items()}
    return replace(best, pointers=replace(best.pointers, **pointers))


def found(target: Target, prediction: Prediction) -> Tensor:
    return all_found(pair_of(prediction, target))


def test_what_is_found_is_what_counts_as_success(device: torch.device) -> None:
    tolerance = torch.tensor([ANGLE_RAD, ANGLE_RAD]).rad2deg().tolist()

    assert pytest.approx([*tolerance, RANGE_M]) == list(TOLERANCE)
    target = small_target(device=device)
    assert bool(found(target, best_prediction(target)).all())


def test_a_single_source_too_far_off_is_not_found(device: torch.device) -> None:
    """Five degrees and a metre are what a source may be off."""
    target = small_target(device=device)
    last = torch.arange(target.sources_max, device=device) == (target.count - 1).unsqueeze(-1)
    true = torch.where(target.present, target.rho, 1.0).reciprocal()
    for name in ("phi_rad", "theta_rad", "rho"):
        near, far = (
            moved(
                target,
                **{
                    name: last * ((true + share).reciprocal() - true.reciprocal())
                    if name == "rho"
                    else share * ANGLE_RAD * last
                },
            )
            for share in (0.9, 1.1)
        )

        assert bool(found(target, near).all()), name
        assert not bool(found(target, far).any()), name


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
        found_error(pair_of(prediction, target)).sum(), prediction.found_logits
    )

    told = torch.arange(target.sources_max, device=device) == (target.count - 1).unsqueeze(-1)
    assert torch.equal(told, slope != 0.0)


def test_being_sure_and_wrong_costs_what_it_should(device: torch.device) -> None:
    target = small_target(device=device)
    best = best_prediction(target)
    doubting = replace(best, found_logits=-best.found_logits)

    assert float(found_error(pair_of(best, target)).max()) < 1e-6
    assert pytest.approx(SURE, rel=1e-5) == float(found_error(pair_of(doubting, target)).min())


def with_logits(target: Target, logits: torch.Tensor) -> torch.Tensor:
    heat = replace(random_heat(target), logits=logits)
    return heat_error(pair_of(replace(best_prediction(target), heat=heat), target))


def test_a_prediction_without_a_map_is_refused(device: torch.device) -> None:
    target = small_target(device=device)
    mapless = replace(best_prediction(target), heat=None)

    with pytest.raises(ValueError, match=r"loss\.heat has a weight .* no map of directions"):
        heat_error(pair_of(mapless, target))


def test_the_cells_of_the_sources_are_the_nearest_ones(device: torch.device) -> None:
    target = small_target(device=device)
    heat = random_heat(target)
    u, v = direction_cosines(target.phi_rad, target.theta_rad)

    cells = source_cells(heat, target)

    for scene in range(len(target)):
        expected = set()
        for source in range(int(target.count[scene])):
            row = int((heat.v - v[scene, source]).abs().argmin())
            expected.add((row, int((heat.u - u[scene, source]).abs().argmin())))
        assert expected == {(row, column) for row, column in cells[scene].nonzero().tolist()}


def test_absent_sources_mark_no_cell_and_unmark_none(device: torch.device) -> None:
    target = small_target(2, device=device)
    straight = torch.zeros_like(target.phi_rad)
    first = torch.tensor([[True, False, False, False, False]] * 2, device=device)
    ahead = replace(target, phi_rad=straight, theta_rad=straight, present=first)

    cells = source_cells(random_heat(ahead), ahead)

    assert [[0, 3, 4], [1, 3, 4]] == cells.nonzero().tolist()


def test_sure_cells_count_less_than_in_plain_cross_entropy_and_missed_sources_most(
    device: torch.device,
) -> None:
    target = small_target(device=device)
    cells = source_cells(random_heat(target), target)

    half_sure, missed, cold = (
        with_logits(target, torch.where(cells, at_sources, elsewhere))
        for at_sources, elsewhere in ((3.0, -3.0), (-4.0, -4.0), (4.0, -4.0))
    )

    plain = 63 * math.log1p(math.exp(-3.0)) / target.count
    assert bool((half_sure < 0.01 * plain).all())
    assert bool((missed > cold + 3.0 * cells.flatten(1).sum(-1) / target.count).all())
