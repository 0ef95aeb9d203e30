"""The cheapest pairing of two small sets, exact and for all scenes at once, whatever the width.

The Hungarian method by shortest augmenting paths (R. Jonker, A. Volgenant, A shortest augmenting
path algorithm for dense and sparse linear assignment problems, Computing 38, 1987): rows enter one
after another, and each path grows in every scene by one column a step.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def assign(cost: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """The column that each row is paired with, (B, R) int64; -1 where it stays alone.

    As many pairs are made as the present rows and columns of a scene allow, and of all such
    pairings the one of least total cost is taken.

    Args:
        cost: (B, R, C) real, not negative and finite where both sides are present; anything
            elsewhere.
        rows: (B, R) bool: which rows are present.
        columns: (B, C) bool: which columns are present.
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

    Args:
        values: (B, R, C) of every possible pair.
        partner: (B, R) as from `assign`.
        alone: Stands where the partner is -1.
    """
    known = F.pad(values, (0, 1), value=alone)
    # -1 is the column that was added.
    return known.gather(-1, partner.remainder(known.shape[-1]).unsqueeze(-1)).squeeze(-1)


def cheapest(cost: Tensor) -> Tensor:
    """The column of each row in the cheapest full pairing, all different, (B, n) int64.

    Args:
        cost: (B, n, n) real, of any sign. Where one is not finite the pairing is not the cheapest.
    """
    cost = cost.double()
    batch, size, _ = cost.shape
    # Column `size` is where paths start, and row `size` is nobody.
    row_price = cost.new_zeros(batch, size + 1)
    column_price = cost.new_zeros(batch, size + 1)
    owner = torch.full((batch, size + 1), size, device=cost.device)
    for row in range(size):
        owner[:, size] = row
        came_from, end = _shortest_path(cost, owner, row_price, column_price, steps=row + 1)
        owner = _augmented(owner, came_from, end, steps=row + 1)
    return owner[:, :size].argsort(-1)


def _shortest_path(
    cost: Tensor, owner: Tensor, row_price: Tensor, column_price: Tensor, steps: int
) -> tuple[Tensor, Tensor]:
    """The column before each column, (B, n), and the free column reached, (B, 1).

    The prices are raised in place along the way; they keep every reduced cost from being negative.
    """
    batch, size, _ = cost.shape
    slack = torch.full_like(cost[:, 0], torch.inf)
    came_from = torch.full_like(owner[:, :size], size)
    closed = torch.zeros_like(owner, dtype=torch.bool)
    column = torch.full_like(owner[:, :1], size)
    scene = torch.arange(batch, device=cost.device).unsqueeze(-1)
    for _ in range(steps):
        row = owner.gather(-1, column)
        seeking = row < size
        closed.scatter_(-1, column, value=True)
        opened = ~closed[:, :size]
        reduced = cost[scene, row.clamp(max=size - 1)].squeeze(1) - row_price.gather(-1, row)
        reduced = reduced - column_price[:, :size]
        nearer = opened & seeking & (reduced < slack)
        slack = torch.where(nearer, reduced, slack)
        came_from = torch.where(nearer, column, came_from)
        rise, nearest = slack.masked_fill(~opened, torch.inf).min(-1, keepdim=True)
        rise = torch.where(seeking, rise, 0.0)
        row_price.scatter_add_(-1, owner, rise * closed)
        column_price -= rise * closed
        slack -= rise * opened
        column = torch.where(seeking, nearest, column)
    return came_from, column


def _augmented(owner: Tensor, came_from: Tensor, end: Tensor, steps: int) -> Tensor:
    """Who owns each column once every row on the path has moved up to the next column."""
    size = came_from.shape[-1]
    column = end
    for _ in range(steps):
        moving = column < size
        before = came_from.gather(-1, column.clamp(max=size - 1))
        heir = owner.gather(-1, torch.where(moving, before, column))
        owner = owner.scatter(-1, column, heir)
        column = torch.where(moving, before, column)
    return owner
