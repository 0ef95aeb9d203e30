"""Which slot answers which true source, at the least total cost.

Up to five sources every order is tried at once (120 of them), in a handful of operations; beyond,
the shortest augmenting paths take less time. Both find the best order.
"""

from functools import lru_cache
from itertools import permutations
from typing import Final

import torch
from torch import Tensor

from risexp.estimation.assignment import cheapest

TRIED: Final = 5
"""Largest number of sources all of whose orders are tried."""


def best_slots(cost: Tensor, present: Tensor) -> Tensor:
    """The slot of each source, all different, (B, K) int64.

    Args:
        cost: Of giving slot s to source k, (B, K, K) real, slots along the second axis.
        present: (B, K) bool; absent sources take the slots that are left, at no cost.
    """
    charged = torch.where(present.unsqueeze(-2), cost, 0.0)
    return _cheapest_order(charged) if present.shape[-1] <= TRIED else cheapest(charged.mT)


def _cheapest_order(cost: Tensor) -> Tensor:
    most = cost.shape[-1]
    orders = _orders(most, cost.device)
    sources = torch.arange(most, device=cost.device)
    return orders[cost[:, orders, sources].sum(-1).argmin(-1)]


@lru_cache(maxsize=32)
def _orders(most: int, device: torch.device) -> Tensor:
    """All orders, (K!, K) int64, kept on the device: to copy them there would make a host wait."""
    with torch.inference_mode(mode=False):
        return torch.tensor(list(permutations(range(most))), device=device)
