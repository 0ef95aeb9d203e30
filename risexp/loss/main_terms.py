"""The terms of the answer itself: covariances, positions, existence, count, and the heat map."""

import math
from typing import Final

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, kl_div, softplus

from risexp.loss.prediction_pair import PredictionPair, TermSettings, position_error
from risexp.loss.target import Target
from risexp.model.prediction import Heat
from risexp.physics.geometry import direction_cosines

ANGLE_RAD: Final = math.radians(5.0)
"""Largest angle error of a source that counts as found."""
RANGE_M: Final = 1.0
"""Largest range error of a source that counts as found."""
GAMMA: Final = 2.0
"""Focal exponent: cells that are right already count less and less."""


def covariance_error(pair: PredictionPair) -> Tensor:
    """|R - label|^2 / |label|^2 of the effective covariances, blend included, (B,) float64.

    Gradients pass through the predicted part alone. Zero for the label at beta zero.
    """
    return pair.prediction.effective.nmse(pair.target.effective)


def predicted_error(pair: PredictionPair) -> Tensor:
    """The same error of the predicted part without samples, (B,) float64; zero for the label."""
    return pair.predicted.nmse(pair.target.effective)


def pointer_error(pair: PredictionPair) -> Tensor:
    """Position error under the best assignment, averaged over the sources, (B,)."""
    off = position_error(_assigned_points(pair), pair.target.points, pair.settings.rho_unit)
    return pair.target.over_sources(off)


def existence_error(pair: PredictionPair) -> Tensor:
    """Cross entropy of the slots' existence under the best assignment, averaged over slots, (B,).

    Zero where assigned slots are sure to hold a source and all others are sure not to.
    """
    logits = pair.prediction.pointers.existence
    label = pair.filled.to(logits.dtype)
    return binary_cross_entropy_with_logits(logits, label, reduction="none").mean(-1)


def count_error(pair: PredictionPair) -> Tensor:
    """The count head's error by its kind, (B,); zero for certain and correct logits.

        ordinal    mean over t of w_t BCE(l_t, 1[K > t]), t = 1 .. K_MAX - 1
        slots      mean over s of w_s BCE(l_s, 1[slot s is assigned to a source])
        softmax    KL(q, softmax(l_k + log w_k)), q = (1 - smoothing) 1[k = K] + smoothing / K_MAX

    The weight w is `under_weight` where a mistake counts too few, else `over_weight`; it multiplies
    the odds of that mistake. The softmax form is the cost-augmented cross entropy (K. Gimpel, N. A.
    Smith, Softmax-margin CRFs, NAACL 2010): without smoothing it is

        log(1 + (under P(k < K) + over P(k > K)) / P(K)).

    The entropy of a smoothed label is subtracted, so that the least value of each form is zero.
    """
    logits, target = pair.prediction.count_logits, pair.target
    match pair.prediction.count_law.kind:
        case "ordinal":
            label = steps_passed(target.count, logits.shape[-1])
            return _binary_error(logits, label, pair.settings)
        case "slots":
            return _binary_error(logits, pair.filled, pair.settings)
        case "softmax":
            # The subtracted entropy cancels: in single precision errors would be negative.
            label = smoothed_label(target.count, logits.shape[-1], pair.settings.smoothing)
            tilted = logits.double() + log_costs(target.count, logits.shape[-1], pair.settings)
            return kl_div(tilted.log_softmax(-1), label, reduction="none").sum(-1)


def steps_passed(count: Tensor, steps: int) -> Tensor:
    """1[K > t] for t = 1 .. steps, (B, steps) bool."""
    return count.unsqueeze(-1) > torch.arange(1, steps + 1, device=count.device)


def smoothed_label(count: Tensor, classes: int, smoothing: float) -> Tensor:
    """The label probabilities of a softmax head, (B, classes) float64."""
    right = _class_offsets(count, classes) == 0
    return (1.0 - smoothing) * right.double() + smoothing / classes


def log_costs(count: Tensor, classes: int, settings: TermSettings) -> Tensor:
    """The cost added to the logit of each class, (B, classes); zero for K."""
    off = _class_offsets(count, classes)
    under = math.log(settings.under_weight) * (off < 0)
    return under + math.log(settings.over_weight) * (off > 0)


def _class_offsets(count: Tensor, classes: int) -> Tensor:
    """Class minus true count, (B, classes)."""
    return torch.arange(1, classes + 1, device=count.device) - count.unsqueeze(-1)


def _binary_error(logits: Tensor, label: Tensor, settings: TermSettings) -> Tensor:
    """Weighted cross entropy averaged over the columns; one source at most has no columns."""
    weight = torch.where(label, settings.under_weight, settings.over_weight).to(logits.dtype)
    error = binary_cross_entropy_with_logits(
        logits, label.to(logits.dtype), weight, reduction="none"
    )
    return error.sum(-1) / max(logits.shape[-1], 1)


def found_error(pair: PredictionPair) -> Tensor:
    """Cross entropy of the head's P(all sources are found | K) at the true K, (B,)."""
    logits = pair.prediction.found_logits
    own = logits.gather(-1, (pair.target.count - 1).clamp(min=0).unsqueeze(-1)).squeeze(-1)
    label = all_found(pair).to(own.dtype)
    return binary_cross_entropy_with_logits(own, label, reduction="none")


def all_found(pair: PredictionPair) -> Tensor:
    """Whether all sources of a scene are found, (B,) bool; a constant.

    A source is found if its slot points to within 5 deg, 5 deg and 1 m, and is among the K slots
    that most likely hold a source: K sources would be localised from those.
    """
    pointers, target = pair.prediction.pointers, pair.target
    with torch.no_grad():
        phi, theta, rho = _assigned_points(pair)
        off = (rho.clamp(min=1e-6).reciprocal() - _ranges(target.rho)).abs()
        near = (phi - target.phi_rad).abs() < ANGLE_RAD
        near &= (theta - target.theta_rad).abs() < ANGLE_RAD
        near &= off < RANGE_M
        likelier = pointers.existence.unsqueeze(1) > pointers.existence.unsqueeze(2)
        chosen = pair.of_sources(likelier.sum(-1)) < target.count.unsqueeze(-1)
        return (near & chosen | ~target.present).all(-1)


def _assigned_points(pair: PredictionPair) -> tuple[Tensor, Tensor, Tensor]:
    """Where the slot assigned to each source points, each (B, K_MAX)."""
    slots = pair.prediction.pointers
    phi, theta, rho = (pair.of_sources(at) for at in (slots.phi_rad, slots.theta_rad, slots.rho))
    return phi, theta, rho


def _ranges(rho: Tensor) -> Tensor:
    return torch.where(rho > 0.0, rho, 1.0).reciprocal()


def heat_error(pair: PredictionPair) -> Tensor:
    """Focal cross entropy of the heat map, summed over the cells, for each source, (B,).

    (1 - p_t)^2 (-log p_t) with p_t the probability of the cell's true state (T.-Y. Lin et al.,
    Focal loss for dense object detection, ICCV 2017). Zero where every cell is certain and right.
    """
    heat, target = pair.prediction.heat, pair.target
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
    # Absent sources get an extra cell behind the map, so they never mark a present one's cell.
    place = torch.where(target.present, row * columns + column, rows * columns)
    marked = torch.zeros(batch, rows * columns + 1, dtype=torch.bool, device=place.device)
    filled = marked.scatter(1, place, torch.ones_like(target.present))
    return filled[:, :-1].view(batch, rows, columns)
