"""The map of directions against the cells that hold sources."""

from typing import Final

import torch
from torch import Tensor
from torch.nn.functional import softplus

from risexp.loss.prediction_pair import PredictionPair
from risexp.loss.target import Target
from risexp.model.prediction import Heat
from risexp.physics.geometry import direction_cosines

GAMMA: Final = 2.0
"""How fast a cell that is right already stops to count."""


def heat_error(guess: PredictionPair) -> Tensor:
    """Focal cross entropy summed over the cells, for each source of a scene, (B,).

    (1 - p_t)^2 (-log p_t) with p_t the probability of what the cell is (T.-Y. Lin et al., Focal
    loss for dense object detection, ICCV 2017). Zero where every cell is sure of what it is.

    Raises:
        ValueError: The network draws no map.
    """
    heat, target = guess.prediction.heat, guess.target
    if heat is None:
        message = "loss.heat has a weight and the prediction holds no map of directions"
        raise ValueError(message)
    wrong = torch.where(source_cells(heat, target), -heat.logits, heat.logits)
    focal = wrong.sigmoid().pow(GAMMA) * softplus(wrong)
    return focal.sum((-2, -1)) / target.count.clamp(min=1)


def source_cells(heat: Heat, target: Target) -> Tensor:
    """The cells nearest to a true source, (B, V, U) bool."""
    u, v = direction_cosines(target.phi_rad, target.theta_rad)
    row = (v.unsqueeze(-1) - heat.v).abs().argmin(-1)
    column = (u.unsqueeze(-1) - heat.u).abs().argmin(-1)
    batch, rows, columns = heat.logits.shape
    # Absent sources fall into a cell of their own behind the map, never onto a present one's.
    place = torch.where(target.present, row * columns + column, rows * columns)
    marked = torch.zeros(batch, rows * columns + 1, dtype=torch.bool, device=place.device)
    filled = marked.scatter(1, place, torch.ones_like(target.present))
    return filled[:, :-1].view(batch, rows, columns)
