"""Once: five terms were identically zero for months: after QR, out of scale, or swallowed."""

import pytest
import torch
from torch import Tensor

from risexp.loss.prediction_pair import PredictionPair
from risexp.loss.structure_terms import column_overlap, unspanned_share
from risexp.loss.terms import Term
from tests.support.predictions import (
    best_prediction,
    orthogonal_prediction,
    pair_of,
    random_prediction,
    small_target,
    term_faults,
)

ZERO, CONSTANT = "not positive on a random pair", "no gradient"


def overlap_after_qr(pair: PredictionPair) -> Tensor:
    """Columns that were made orthogonal before their overlap was charged."""
    columns: Tensor = torch.linalg.qr(pair.prediction.angle_factor).Q
    beside = columns.mH @ columns - torch.eye(columns.shape[-1], device=columns.device)
    return beside.abs().square().sum((-2, -1))


def margin_out_of_scale(pair: PredictionPair) -> Tensor:
    """max(0.02 - (w_K - w_K+1), 0) where the trace is 36: the margin is always met."""
    count = pair.target.count.unsqueeze(-1)
    signal, noise = (pair.spectrum.gather(1, place) for place in (count - 1, count))
    return (0.02 - (signal - noise)).clamp(min=0.0).squeeze(-1)


def swallowed(pair: PredictionPair) -> Tensor:
    """An exception of every scene, caught and counted as no error at all."""
    try:
        return pair.prediction.pointers.phi_rad[:, 15]
    except IndexError:
        return torch.zeros(len(pair.target), device=pair.target.count.device)


def detached(pair: PredictionPair) -> Tensor:
    return unspanned_share(pair).detach()


def rounded(pair: PredictionPair) -> Tensor:
    """A value that changes with the answer, by steps whose slope is zero."""
    return column_overlap(pair).mul(1e3).floor() / 1e3


@pytest.mark.parametrize(
    ("term", "faults"),
    [
        (column_overlap, []),
        (overlap_after_qr, [ZERO]),
        (margin_out_of_scale, [ZERO, "a gradient of zero"]),
        (swallowed, [ZERO, CONSTANT]),
        (detached, [CONSTANT]),
        (rounded, ["a gradient of zero"]),
    ],
)
def test_a_term_that_is_dead_is_reported(
    device: torch.device, term: Term, faults: list[str]
) -> None:
    target = small_target(device=device)
    pair = pair_of(random_prediction(target), target)

    found = term_faults(term, pair, orthogonal_prediction(target))

    assert set(faults) <= set(found)
    assert bool(faults) == bool(found)


def test_a_term_that_its_optimum_does_not_satisfy_is_reported(device: torch.device) -> None:
    target = small_target(device=device)
    pair = pair_of(random_prediction(target), target)

    # The columns of the label are those of the true sources, which overlap.
    assert ["not zero at its optimum"] == term_faults(column_overlap, pair, best_prediction(target))
