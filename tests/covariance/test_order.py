"""Information criteria: right on ideal data, where the product of eigenvalues is not."""

import math
from typing import get_args

import numpy as np
import pytest
import torch
from torch import Tensor

from risexp.covariance.factored import FactoredCovariance
from risexp.covariance.sampled import Criterion, order, order_scores
from tests.support.looping import for_each
from tests.support.scenes import gaussian

CRITERIA: tuple[Criterion, ...] = get_args(Criterion)


def ideal_spectrum(elements: int, snapshots: int, sources: int, *, scale: float = 1.0) -> Tensor:
    """Eigenvalues of direct snapshots of orthogonal sources, 20 scenes at 10 dB an element."""
    directions, _ = torch.linalg.qr(gaussian(20, elements, sources, seed=sources))
    symbols = gaussian(20, sources, snapshots, seed=10 + sources)
    noise = gaussian(20, elements, snapshots, seed=20 + sources)
    signal = math.sqrt(10.0 * elements) * directions @ symbols
    snapshots_seen = scale * (signal + noise) / math.sqrt(snapshots)
    return FactoredCovariance.from_factor(snapshots_seen).eigenvalues()


def textbook(criterion: Criterion, values: list[float], snapshots: int, most: int) -> list[float]:
    """The likelihood ratio as a power of a product, as papers print it."""
    p = len(values)
    scores = []
    for k in range(most + 1):
        tail = np.array(values[k:])
        with np.errstate(divide="ignore"):
            likelihood = np.log((np.prod(tail) ** (1 / (p - k)) / tail.mean()) ** (p - k))
        freedom = k * (2 * p - k)
        penalty = freedom * math.log(snapshots) / 2 if criterion == "mdl" else 2 * freedom
        scores.append(-snapshots * likelihood * (1 if criterion == "mdl" else 2) + penalty)
    return scores


@for_each("sources", [1, 2, 3, 4, 5])
@for_each(("elements", "snapshots"), [(144, 16), (16, 64), (8, 200)])
def test_mdl_counts_the_sources_of_ideal_data(
    device: torch.device, elements: int, snapshots: int, sources: int
) -> None:
    eigenvalues = ideal_spectrum(elements, snapshots, sources).to(device)

    count = order("mdl", eigenvalues, snapshots, most=5)

    assert eigenvalues.shape == (20, min(elements, snapshots))
    assert count.tolist() == [sources] * 20


def test_the_product_of_144_eigenvalues_underflows_and_always_answers_one() -> None:
    eigenvalues = ideal_spectrum(144, 300, sources=3, scale=1e-3)

    scores = [textbook("mdl", values.tolist(), 300, most=5) for values in eigenvalues]

    assert np.isinf(scores).all()
    assert (np.argmin(np.array(scores)[:, 1:], axis=1) + 1 == 1).all()
    assert order("mdl", eigenvalues, 300, most=5).tolist() == [3] * 20


@for_each("criterion", CRITERIA)
def test_scores_agree_with_the_textbook_where_it_does_not_underflow(
    device: torch.device, criterion: Criterion
) -> None:
    values = [[9.0, 4.0, 1.2, 1.0, 0.9], [3.0, 2.5, 2.0, 0.4, 0.3]]

    scores = order_scores(criterion, torch.tensor(values, device=device), snapshots=50, most=3)

    for expected, actual in zip(values, scores.tolist(), strict=True):
        assert pytest.approx(textbook(criterion, expected, 50, most=3), rel=1e-6) == actual


@for_each("criterion", CRITERIA)
def test_the_count_does_not_depend_on_the_scale(criterion: Criterion) -> None:
    loud, quiet = (ideal_spectrum(16, 64, sources=2, scale=scale) for scale in (1.0, 1e-5))

    expected = order_scores(criterion, loud, 64, most=5)

    assert torch.allclose(expected, order_scores(criterion, quiet, 64, most=5), rtol=1e-9)


@for_each("criterion", CRITERIA)
def test_what_shows_no_noise_or_no_number_has_no_order(
    device: torch.device, criterion: Criterion
) -> None:
    alone = torch.tensor([[3.7], [0.0]], device=device)
    unknown = torch.tensor([[3.7, torch.nan]], device=device)

    for eigenvalues in (alone, unknown):
        with pytest.raises(ValueError, match="at least two finite eigenvalues"):
            order(criterion, eigenvalues, snapshots=1, most=5)


def test_orders_that_leave_no_noise_eigenvalue_score_infinity() -> None:
    scores = order_scores("mdl", torch.tensor([[5.0, 1.0, 0.5]]), snapshots=10, most=5)

    assert scores.isinf().tolist() == [[False, False, False, True, True, True]]


def test_a_spectrum_of_zeros_has_finite_scores() -> None:
    scores = order_scores("aic", torch.zeros(2, 6), snapshots=10, most=4)

    assert scores.isfinite().all()
