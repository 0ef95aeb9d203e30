"""Which slot answers which true source, at the least total cost.

Up to six sources every order is tried at once (720 of them). Beyond, pairs are made greedily, the
cheapest first: not always the best order, but one that does not depend on how sources are listed.
"""

from functools import lru_cache
from itertools import permutations

import torch
from torch import Tensor

_TRIED = 6
"""Largest number of sources all of whose orders are tried."""


def best_slots(cost: Tensor, present: Tensor) -> Tensor:
    """The slot of each source, all different, (B, K) int64.

    Args:
        cost: Of giving slot s to source k, (B, K, K) real, slots along the second axis.
        present: (B, K) bool; absent sources take the slots that are left, at no cost.
    """
    if present.shape[-1] <= _TRIED:
        return _cheapest_order(torch.where(present.unsqueeze(-2), cost, 0.0))
    # Absent sources are dearer than any pair, and so come last.
    dear = cost.amax((-2, -1), keepdim=True) + 1.0
    return _greedy(torch.where(present.unsqueeze(-2), cost, dear))


def _cheapest_order(cost: Tensor) -> Tensor:
    most = cost.shape[-1]
    orders = _orders(most, cost.device)
    sources = torch.arange(most, device=cost.device)
    return orders[cost[:, orders, sources].sum(-1).argmin(-1)]


def _greedy(cost: Tensor) -> Tensor:
    """The cheapest pair left, as often as there are sources."""
    most = cost.shape[-1]
    places = torch.arange(most, device=cost.device)
    slots = torch.zeros_like(cost[:, 0], dtype=torch.int64)
    for _ in range(most):
        pair = cost.flatten(1).argmin(-1, keepdim=True)
        slot, source = pair.div(most, rounding_mode="floor"), pair.remainder(most)
        slots = slots.scatter(1, source, slot)
        gone = (places == slot).unsqueeze(-1) | (places == source).unsqueeze(-2)
        cost = cost.masked_fill(gone, torch.inf)
    return slots


@lru_cache(maxsize=32)
def _orders(most: int, device: torch.device) -> Tensor:
    """All orders, (K!, K) int64, kept on the device: to copy them there would make a host wait."""
    with torch.inference_mode(mode=False):
        return torch.tensor(list(permutations(range(most))), device=device)
