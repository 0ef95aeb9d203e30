"""The structure terms: values against dense matrices, and their limits."""

from dataclasses import replace
from itertools import product

import torch
from torch import Tensor

from risexp.loss.structure_terms import (
    CONTRAST,
    GAP,
    column_overlap,
    eigengap_excess,
    eigenvalue_deficit,
    factor_overlap,
    ring,
    shallow_nulls,
    unspanned_share,
)
from risexp.loss.target import Target
from risexp.loss.terms import MAIN, TERMS
from risexp.model.prediction import Prediction
from tests.support.dense_covariance import projector
from tests.support.predictions import (
    best_prediction,
    effectively,
    gradient_faults,
    orthogonal_prediction,
    pair_of,
    random_prediction,
    scored,
    small_target,
)
from tests.support.scenes import matrix, worst

STRUCTURE = sorted(TERMS.keys() - MAIN)


def of_columns(target: Target, columns: Tensor) -> Prediction:
    """An answer whose angle factor these are, and nothing in its range factor."""
    angle = columns.to(target.count.device, torch.complex64)
    best = replace(best_prediction(target), angle_factor=angle)
    return effectively(replace(best, range_factor=torch.zeros_like(angle)), target)


def spectra(prediction: Prediction, target: Target) -> list[Tensor]:
    """Eigenvalues of the dense matrices, descending: the prediction's and the label's."""
    ours = pair_of(prediction, target).predicted.detach()
    return [torch.linalg.eigvalsh(matrix(each)).flip(-1) for each in (ours, target.effective)]


def test_the_eigengap_is_that_of_the_dense_matrix(device: torch.device) -> None:
    target = small_target(device=device)
    prediction = random_prediction(target)
    count = target.count.unsqueeze(-1)
    ours, theirs = (
        (each.gather(1, count) / each.gather(1, count - 1)).squeeze(-1)
        for each in spectra(prediction, target)
    )

    expected = (ours - theirs.clamp(min=GAP)).clamp(min=0.0)

    assert worst(expected, scored(eigengap_excess, prediction, target)) < 1e-5


def test_the_deficit_is_that_of_the_dense_matrix(device: torch.device) -> None:
    target = small_target(device=device)
    prediction = random_prediction(target)
    last = target.count.unsqueeze(-1) - 1
    ours, theirs = (each.gather(1, last).squeeze(-1) for each in spectra(prediction, target))

    expected = (1.0 - ours / theirs).clamp(min=0.0)

    assert worst(expected, scored(eigenvalue_deficit, prediction, target)) < 1e-5


def test_the_unspanned_share_is_that_of_the_dense_projector(device: torch.device) -> None:
    target = small_target(device=device)
    prediction = random_prediction(target)
    basis = torch.linalg.qr(prediction.predicted.factor.detach().to(torch.complex128)).Q
    steering = target.steering.mT.to(torch.complex128)

    off = (steering - projector(basis) @ steering).abs().square().sum(-2)

    expected = off.sum(-1) / target.count
    assert worst(expected, scored(unspanned_share, prediction, target)) < 1e-5


def test_weak_columns_span_as_well_as_strong_ones(device: torch.device) -> None:
    for power in [1.0, 1e-6]:
        target = small_target(device=device)
        scale = torch.tensor([1.0, *[power**0.5] * 4], device=device)

        share = scored(unspanned_share, of_columns(target, target.steering.mT * scale), target)

        assert float(share.max()) < 1e-8, power


def test_the_ring_lies_half_a_beam_around_each_source(device: torch.device) -> None:
    target = small_target(device=device)

    overlap = (ring(target).conj() * target.steering.unsqueeze(2)).sum(-1).abs()

    assert (len(target), 5, 8, 36) == tuple(ring(target).shape)
    kept = overlap[target.present]
    # On an axis sinc(1/2) = 0.64 of the amplitude is left; the panel of six samples it coarsely.
    assert 0.5 < float(kept.min()) < float(kept.max()) < 0.8


def test_nulls_are_those_of_the_dense_subspace(device: torch.device) -> None:
    target = small_target(device=device)
    prediction = random_prediction(target)
    vectors = torch.linalg.eigh(matrix(prediction.effective.detach())).eigenvectors.flip(-1)

    def null(steering: Tensor) -> Tensor:
        inside = torch.arange(36, device=device) < target.count.unsqueeze(-1)
        seen = (vectors.mH @ steering.to(vectors.dtype)).abs().square()
        return 1.0 - torch.where(inside.unsqueeze(-1), seen, 0.0).sum(-2)

    at, around = null(target.steering.mT), null(ring(target).flatten(1, 2).mT)
    shallow = (at - CONTRAST * around.view(*at.shape, 8).mean(-1)).clamp(min=0.0)
    expected = torch.where(target.present, shallow, 0.0).sum(-1) / target.count

    actual = scored(shallow_nulls, prediction, target)

    assert worst(expected, actual.double()) < 1e-4


def test_columns_that_are_alike_overlap_wholly_or_not_at_all(device: torch.device) -> None:
    target = small_target(device=device)
    same = of_columns(target, target.steering[:, :1].mT.expand(-1, -1, 5))

    overlap = scored(column_overlap, same, target)

    torch.testing.assert_close(torch.full_like(overlap, 0.8), overlap)
    assert scored(column_overlap, orthogonal_prediction(target), target).max() < 1e-10


def test_a_factor_overlaps_with_itself_as_much_as_its_rank_allows(device: torch.device) -> None:
    target = small_target(device=device)
    one = target.steering[:, :1].mT.expand(-1, -1, 5)
    twin = replace(best_prediction(target), angle_factor=one, range_factor=3.0 * one)

    overlap = scored(factor_overlap, twin, target)

    torch.testing.assert_close(torch.ones_like(overlap), overlap, rtol=1e-4, atol=0.0)
    assert scored(factor_overlap, orthogonal_prediction(target), target).max() < 1e-10


def test_structure_does_not_depend_on_the_scale_of_the_factors(device: torch.device) -> None:
    for name in STRUCTURE:
        target = small_target(device=device)
        prediction = random_prediction(target)
        faint = effectively(
            replace(
                prediction,
                angle_factor=1e-5 * prediction.angle_factor,
                range_factor=1e-5 * prediction.range_factor,
            ),
            target,
        )

        one, other = (scored(TERMS[name], each, target).double() for each in (prediction, faint))

        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-6)


def degenerate(kind: str, target: Target) -> Prediction:
    """A drawn answer whose factors are of no or of little rank."""
    drawn = random_prediction(target)
    with torch.no_grad():
        for factor in (drawn.angle_factor, drawn.range_factor):
            match kind:
                case "one column, repeated":
                    factor.copy_(factor[..., :1].expand_as(factor).clone())
                case "nearly nothing":
                    factor.mul_(1e-12)
                case "next to the truth":
                    factor.mul_(1e-4).add_(target.steering.mT)
        if kind == "no range factor":
            drawn.range_factor.zero_()
    return effectively(drawn, target)


def test_gradients_of_degenerate_factors_are_finite(device: torch.device) -> None:
    for kind, name in product(
        ["one column, repeated", "nearly nothing", "next to the truth", "no range factor"],
        STRUCTURE,
    ):
        target = small_target(device=device)
        prediction = degenerate(kind, target)

        value = TERMS[name](pair_of(prediction, target)).mean()

        assert bool(value.isfinite()), (kind, name)
        assert "a gradient that is not finite" not in gradient_faults(value, prediction), kind


def test_an_answer_of_nan_makes_an_error_of_nan_and_raises_nothing(device: torch.device) -> None:
    for name in STRUCTURE:
        target = small_target(4, device=device)
        prediction = random_prediction(target)
        with torch.no_grad():
            prediction.angle_factor[1, 0, 0] = torch.nan
        broken = effectively(prediction, target)

        errors = scored(TERMS[name], broken, target)

        assert [False, True, False, False] == errors.isnan().tolist(), name
