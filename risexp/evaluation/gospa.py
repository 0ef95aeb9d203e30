"""GOSPA: one distance in metres for wrong positions, missed sources and false ones together.

    gospa = min over assignments of  sum over pairs d^p + (c^p / alpha) (missed + false)

with p = 1, alpha = 2, c = 1 m and d the Cartesian distance, so a source that is missed or false
costs half a metre, and a pair further apart than c is one of each.
(A. S. Rahmathullah, A. F. Garcia-Fernandez, L. Svensson, Generalized optimal sub-pattern assignment
metric, FUSION 2017.) Its pairs are its own: they are chosen by metres, not by tolerances.
"""

from dataclasses import dataclass
from typing import Final, Self

import torch
from torch import Tensor

from risexp.data.frames import Truth
from risexp.estimation.assignment import assign, paired_values
from risexp.evaluation.matching import check_answer
from risexp.inference.estimate import Estimate
from risexp.physics.geometry import direction_cosines

CUTOFF_M: Final = 1.0
"""Distance beyond which two sources are not one (c)."""


@dataclass(frozen=True)
class Gospa:
    """The distance of B scenes, by what causes it; each (B,) float64 in metres."""

    localisation: Tensor
    """Sum of the distances of the pairs nearer than the cutoff."""
    missed: Tensor
    """Half the cutoff for every true source without such a pair."""
    false: Tensor
    """Half the cutoff for every estimated source without such a pair."""

    def __len__(self) -> int:
        return len(self.localisation)

    def __getitem__(self, scenes: slice | Tensor) -> Self:
        return type(self)(**{name: value[scenes] for name, value in vars(self).items()})

    @property
    def total(self) -> Tensor:
        """The distance itself, (B,) float64."""
        return self.localisation + self.missed + self.false


def gospa(estimate: Estimate, truth: Truth) -> Gospa:
    """Distance between what is estimated and what is true, scene by scene.

    Raises:
        DataInvalid: A present source has no finite position, or the scenes are not the same.
    """
    check_answer(estimate, truth)
    apart = _cartesian(truth).unsqueeze(-2) - _cartesian(estimate).unsqueeze(-3)
    distance = torch.linalg.vector_norm(apart, dim=-1).clamp(max=CUTOFF_M)
    partner = assign(distance, truth.present, estimate.present)
    paired = paired_values(distance, partner, alone=CUTOFF_M)
    near = paired < CUTOFF_M
    half = CUTOFF_M / 2.0
    return Gospa(
        localisation=paired.where(near, 0.0).sum(-1),
        missed=half * (truth.count - near.sum(-1)).double(),
        false=half * (estimate.count - near.sum(-1)).double(),
    )


def _cartesian(positions: Truth | Estimate) -> Tensor:
    """Where the sources stand before the panel, (B, slots, 3) in metres; absent ones at NaN."""
    phi, theta = positions.phi_rad.double(), positions.theta_rad.double()
    u, v = direction_cosines(phi, theta)
    direction = torch.stack([u, v, phi.cos() * theta.cos()], dim=-1)
    return positions.range_m.double().unsqueeze(-1) * direction
