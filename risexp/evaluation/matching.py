"""Pair estimated with true sources, by tolerances or by GOSPA, and measure their errors.

    cost = sqrt(min(|dphi| / 5 deg, c)^2 + min(|dtheta| / 5 deg, c)^2 + min(|dr| / 1 m, c)^2), c = 3

The cap makes pairs that are far apart indifferent, so a far extra estimate never costs a true
match. Where the cap leaves a tie, the nearer pairing is taken: errors do not depend on the order
of the sources. All directions lie in the half space before the panel, so no angle ever wraps.
"""

import math
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from risexp.core.batch import TensorBatch
from risexp.data.frames import Truth
from risexp.errors import DataInvalid
from risexp.estimation.assignment import assign, paired_values
from risexp.inference.estimate import Estimate
from risexp.physics.geometry import direction_cosines

CAP: Final = 3.0
"""Tolerances beyond which an error is as bad as a source that was not found."""
TOLERANCE: Final = (5.0, 5.0, 1.0)
"""Errors of phi (deg), theta (deg) and range (m) within which a source counts as located."""
STRICT_TOLERANCE: Final = (3.0, 3.0, 0.5)
"""The same for the strict rate of success."""
_TIE_BREAK: Final = 1e-9

CUTOFF_M: Final = 1.0
"""Distance beyond which two sources are not one (c)."""


@dataclass(frozen=True)
class Matching(TensorBatch):
    """Pairs of estimated and true sources in B scenes, with their errors.

    Missing sources are counted, not charged.

    Errors are estimated minus true, one for each true source, NaN where none was matched to it.
    """

    true_count: Tensor
    """(B,) int64: K."""
    estimated_count: Tensor
    """(B,) int64: K^."""
    partner: Tensor
    """(B, K_MAX) int64: slot of the estimate matched to each true source; -1 for none."""
    phi_deg: Tensor
    """(B, K_MAX) float64"""
    theta_deg: Tensor
    """(B, K_MAX) float64"""
    range_m: Tensor
    """(B, K_MAX) float64"""

    @property
    def matched(self) -> Tensor:
        """(B, K_MAX) bool: which true sources have a partner."""
        return self.partner >= 0

    @property
    def pairs(self) -> Tensor:
        """(B,) int64: matched pairs, min(K, K^)."""
        return self.matched.sum(-1)

    @property
    def missed(self) -> Tensor:
        """(B,) int64: true sources without a partner."""
        return self.true_count - self.pairs

    @property
    def errors(self) -> Tensor:
        """Signed errors of phi (deg), theta (deg) and range (m), (B, K_MAX, 3); NaN unmatched."""
        return torch.stack([self.phi_deg, self.theta_deg, self.range_m], dim=-1)

    @property
    def relative(self) -> Tensor:
        """Sizes of the errors in tolerances, (B, K_MAX, 3); NaN unmatched."""
        return self.errors.abs() / self.errors.new_tensor(TOLERANCE)

    def within(self, tolerance: tuple[float, float, float]) -> Tensor:
        """(B,) bool: the count is right and every source lies within (deg, deg, m)."""
        near = (self.errors.abs() <= self.errors.new_tensor(tolerance)).all(-1)
        return (self.true_count == self.estimated_count) & (near.sum(-1) == self.true_count)


def match(estimate: Estimate, truth: Truth) -> Matching:
    """Pair estimated with true sources, scene by scene, at the least total cost."""
    check_answer(estimate, truth)
    offset = torch.stack(
        [
            _offset(estimate.phi_rad, truth.phi_rad).rad2deg(),
            _offset(estimate.theta_rad, truth.theta_rad).rad2deg(),
            _offset(estimate.range_m, truth.range_m),
        ],
        dim=-1,
    )
    relative = offset.abs() / offset.new_tensor(TOLERANCE)
    capped = relative.clamp(max=CAP).square().sum(-1).sqrt()
    cost = capped + _TIE_BREAK * relative.sum(-1).log1p()
    partner = assign(cost, truth.present, estimate.present)
    errors = [paired_values(axis, partner, alone=math.nan) for axis in offset.unbind(-1)]
    return Matching(truth.count, estimate.count, partner, *errors)


def check_answer(estimate: Estimate, truth: Truth) -> None:
    """Check that an estimate can be scored."""
    if len(estimate) != len(truth):
        raise DataInvalid(
            f"the estimate is of {len(estimate)} scenes and the truth of {len(truth)}: "
            "score the scenes that were localised"
        )
    slots = estimate.phi_rad.shape[1]
    impossible = (estimate.count < 0) | (estimate.count > slots)
    if bool(impossible.any()):
        scene = int(impossible.nonzero()[0])
        raise DataInvalid(
            f"count of scene {scene} is {int(estimate.count[scene])} where the estimate has "
            f"{slots} slots: keep it within 0 .. {slots}"
        )
    _check_finite("estimate", estimate)
    _check_finite("truth", truth)


def _check_finite(side: str, positions: Estimate | Truth) -> None:
    for name in ("phi_rad", "theta_rad", "range_m"):
        value = getattr(positions, name)
        wrong = positions.present & ~value.isfinite()
        if bool(wrong.any()):
            scene, slot = (int(place) for place in wrong.nonzero()[0])
            raise DataInvalid(
                f"{name} of source {slot} in scene {scene} of the {side} is "
                f"{float(value[scene, slot])}: a source that is counted needs a finite position"
            )


def _offset(estimated: Tensor, true: Tensor) -> Tensor:
    """Estimated minus true for every pair, (B, K_MAX, S) float64."""
    return estimated.double().unsqueeze(-2) - true.double().unsqueeze(-1)


@dataclass(frozen=True)
class Gospa(TensorBatch):
    """Distance in metres for wrong positions, missed and false sources together, (B,) float64.

        gospa = min over assignments of  sum over pairs d^p + (c^p / alpha) (missed + false)

    with p = 1, alpha = 2, c = 1 m and d the Cartesian distance, so a source that is missed or
    false costs half a metre, and a pair further apart than c is one of each. Its pairs are chosen
    by metres, not by tolerances. (A. S. Rahmathullah, A. F. Garcia-Fernandez, L. Svensson,
    Generalized optimal sub-pattern assignment metric, FUSION 2017.)
    """

    localisation: Tensor
    """Sum of the distances of the pairs nearer than the cutoff."""
    missed: Tensor
    """Half the cutoff for every true source without such a pair."""
    false: Tensor
    """Half the cutoff for every estimated source without such a pair."""

    @property
    def total(self) -> Tensor:
        """The distance itself, (B,) float64."""
        return self.localisation + self.missed + self.false


def gospa(estimate: Estimate, truth: Truth) -> Gospa:
    """Distance between what is estimated and what is true, scene by scene."""
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
