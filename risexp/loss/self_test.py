"""Checks of the loss itself: labels as predictions, and the numbers of every epoch."""

from dataclasses import replace
from typing import Final

import torch
from torch import Tensor

from risexp.covariance.effective import effective
from risexp.covariance.factored import FactoredCovariance
from risexp.errors import VerificationFailed
from risexp.loss.main_terms import log_costs, smoothed_label, steps_passed
from risexp.loss.prediction_pair import TermSettings
from risexp.loss.target import Target
from risexp.model.prediction import CountLaw, Pointers, Prediction

SURE: Final = 30.0
"""Logit of a certain answer."""
LIMIT: Final = 1e-9
"""What rounding may leave of an error that is zero."""
_LARGEST = 100.0
"""Bound on the NMSE of covariances of equal trace; real ones lie far below."""


def perfect_prediction(
    target: Target, settings: TermSettings, count_law: CountLaw, lambda_range: float
) -> Prediction:
    """The prediction that equals the label, without samples and without a heat map.

    The settings decide the best logits of a softmax; the second factor, of weight `lambda_range`,
    is zero.
    """
    label = target.covariance
    return Prediction(
        angle_factor=label.factor,
        range_factor=torch.zeros_like(label.factor),
        lambda_range=lambda_range,
        effective=effective(label, target.snr_db, alpha_base=target.alpha_base),
        count_logits=_count_logits(target, settings, count_law),
        count_law=count_law,
        found_logits=torch.full_like(target.rho, SURE),
        pointers=Pointers(*target.points, existence=_sure(target.present)),
    )


def _count_logits(target: Target, settings: TermSettings, law: CountLaw) -> Tensor:
    match law.kind:
        case "ordinal":
            return _sure(steps_passed(target.count, law.width))
        case "slots":
            return _sure(target.present)
        case "softmax":
            label = smoothed_label(target.count, law.width, settings.smoothing)
            tilt = log_costs(target.count, law.width, settings)
            return (label.log().clamp(min=-SURE) - tilt).float()


def _sure(true: Tensor) -> Tensor:
    return torch.where(true, SURE, -SURE)


def nmse_self_test(covariance: FactoredCovariance) -> None:
    """Check that `nmse` is an error: nmse(R, R) = 0 and nmse(0, R) = 1, for labels R not zero."""
    nothing = replace(
        covariance,
        factor=torch.zeros_like(covariance.factor),
        diagonal=torch.zeros_like(covariance.diagonal),
    )
    for name, other, due in (("nmse(R, R)", covariance, 0.0), ("nmse(0, R)", nothing, 1.0)):
        off = float((other.nmse(covariance) - due).abs().max())
        if not off <= LIMIT:
            raise VerificationFailed(
                f"{name} is off by {off:.3g} where {due:g} is due: the covariance error is a "
                "similarity, or normalised by something other than |label|^2"
            )


def covariance_fault(cov: float) -> str | None:
    """Why this mean covariance error is impossible, or None: it lies between 0 and 100."""
    if 0.0 < cov < _LARGEST:
        return None
    return f"cov is {cov:.3g}, and an NMSE under training lies between 0 and {_LARGEST:g}"


def blend_fault(effective: FactoredCovariance) -> str | None:
    """Why this effective covariance cannot train the network, or None: it has a gradient."""
    if effective.factor.requires_grad:
        return None
    return (
        "the effective covariance has no gradient, so nothing it is scored by reaches the network: "
        "build it of what the network answers, and detach nothing but the samples"
    )
