"""Whether the head knows that it will be right: all sources found, the count being given.

A source is found where the slot that answers it points to within 5 deg, 5 deg and 1 m, and is among
the K slots that most likely hold one: those are what K sources would be localised from.
"""

import math
from typing import Final

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from risexp.loss.prediction_pair import PredictionPair

ANGLE_RAD: Final = math.radians(5.0)
"""Largest error of an angle of a source that is found."""
RANGE_M: Final = 1.0
"""Largest error of its range."""


def found_error(guess: PredictionPair) -> Tensor:
    """Cross entropy of P(all found | K) at the true K, (B,).

    Zero where the head is sure of what is found and of what is not.
    """
    logits = guess.prediction.found_logits
    own = logits.gather(-1, (guess.target.count - 1).clamp(min=0).unsqueeze(-1)).squeeze(-1)
    wanted = all_found(guess).to(own.dtype)
    return binary_cross_entropy_with_logits(own, wanted, reduction="none")


def all_found(guess: PredictionPair) -> Tensor:
    """Scenes whose sources are all found, (B,) bool; a constant."""
    pointers, target = guess.prediction.pointers, guess.target
    with torch.no_grad():
        slots = (pointers.phi_rad, pointers.theta_rad, pointers.rho)
        phi, theta, rho = (guess.of_sources(each) for each in slots)
        off = (rho.clamp(min=1e-6).reciprocal() - _ranges(target.rho)).abs()
        near = (phi - target.phi_rad).abs() < ANGLE_RAD
        near &= (theta - target.theta_rad).abs() < ANGLE_RAD
        near &= off < RANGE_M
        likelier = pointers.existence.unsqueeze(1) > pointers.existence.unsqueeze(2)
        chosen = guess.of_sources(likelier.sum(-1)) < target.count.unsqueeze(-1)
        return (near & chosen | ~target.present).all(-1)


def _ranges(rho: Tensor) -> Tensor:
    return torch.where(rho > 0.0, rho, 1.0).reciprocal()
