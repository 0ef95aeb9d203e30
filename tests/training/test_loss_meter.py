"""The loss of an epoch against its batches, one by one."""

import math

import torch

from risexp.training.meters import LossMeter
from tests.support.trainers import SmallLoss, summed

WEIGHTS = {"cov": 0.5, "count": 2.0}


def loss_of(cov: float, count: float, device: torch.device) -> SmallLoss:
    terms = {"cov": torch.tensor(cov, device=device), "count": torch.tensor(count, device=device)}
    return summed(terms, WEIGHTS)


def add(means: LossMeter, loss: SmallLoss, scenes: int, *, taken: bool = True) -> None:
    means.add(means.values_of(loss), scenes, torch.tensor(taken, device=loss.total.device))


def test_batches_count_by_their_scenes(device: torch.device) -> None:
    means = LossMeter(WEIGHTS, device)
    add(means, loss_of(1.0, 3.0, device), 30)
    add(means, loss_of(2.0, 5.0, device), 10)

    losses = means.read()

    assert 40 == losses.scenes
    assert {"cov": 1.25, "count": 3.5} == losses.raw
    assert {"cov": 0.625, "count": 7.0} == losses.weighted
    assert 7.625 == losses.total


def test_a_refused_batch_leaves_no_trace_in_the_mean_and_values_carry_no_gradient(
    device: torch.device,
) -> None:
    means = LossMeter(WEIGHTS, device)
    add(means, loss_of(1.0, 3.0, device), 30)
    for value in (math.nan, math.inf):
        add(means, loss_of(value, 7.0, device), 30, taken=False)
    cov = torch.tensor(1.0, requires_grad=True)

    assert {"cov": 1.0, "count": 3.0} == means.read().raw
    assert math.isnan(LossMeter(WEIGHTS, device).read().raw["cov"])
    assert not means.values_of(summed({"cov": cov, "count": cov * 2.0}, WEIGHTS)).requires_grad
