"""The cheapest pairing of two small sets, scene by scene, on the host."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

_DEAREST = 1e300
"""Stands for an infinite cost, which has no sum."""


def assign(cost: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """The column that each row is paired with, (B, R) int64; -1 where it stays alone.

    As many pairs are made as the present rows (B, R) and columns (B, C) of a scene allow, and of
    all such pairings the one of least total cost is taken. `cost` (B, R, C) is not negative and
    finite where both sides are present, and anything elsewhere.
    """
    size = max(cost.shape[1:])
    both = rows.unsqueeze(-1) & columns.unsqueeze(-2)
    inside = (0, size - cost.shape[2], 0, size - cost.shape[1])
    square = F.pad(torch.where(both, cost.double(), 0.0), inside)
    # Dearer than any pair: to leave two present ones alone never pays.
    alone = 1.0 + square.amax((-2, -1), keepdim=True)
    column = cheapest(torch.where(F.pad(both, inside), square, alone))[:, : cost.shape[1]]
    paired = F.pad(both, inside)[:, : cost.shape[1]].gather(-1, column.unsqueeze(-1)).squeeze(-1)
    return torch.where(paired, column, -1)


def paired_values(values: Tensor, partner: Tensor, alone: float) -> Tensor:
    """The value of each row's pair, (B, R), and `alone` where it has none.

    `values` (B, R, C) are of all possible pairs; `partner` (B, R) is from `assign`.
    """
    known = F.pad(values, (0, 1), value=alone)
    # -1 is the column that was added.
    return known.gather(-1, partner.remainder(known.shape[-1]).unsqueeze(-1)).squeeze(-1)


def cheapest(cost: Tensor) -> Tensor:
    """The column of each row in the cheapest full pairing, all different, (B, n) int64.

    `cost` (B, n, n) has any sign. Where one is not finite the pairing is not the cheapest.
    """
    # Not at the top: nothing that only reads a configuration waits for it.
    from scipy.optimize import linear_sum_assignment  # type: ignore[import-untyped] # no types

    numbers = cost.detach().double().nan_to_num(_DEAREST, _DEAREST, -_DEAREST).cpu().numpy()
    columns = np.empty(cost.shape[:-1], dtype=np.int64)
    for row, scene in zip(columns, numbers, strict=True):
        row[:] = linear_sum_assignment(scene)[1]
    return torch.from_numpy(columns).to(cost.device)
