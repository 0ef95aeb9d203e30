"""Labels in the form of a prediction: what every error is zero for."""

import torch
from torch import Tensor

from risexp.covariance.effective import effective
from risexp.loss.count_term import log_costs, smoothed_label, steps_passed
from risexp.loss.settings import TermSettings
from risexp.loss.target import Target
from risexp.model.counting import CountLaw
from risexp.model.prediction import Pointers, Prediction

SURE = 30.0
"""Logit of what is certain."""


def perfect_prediction(
    target: Target, settings: TermSettings, count_law: CountLaw, lambda_range: float
) -> Prediction:
    """The answer that labels themselves would give, without samples and without a map.

    Args:
        target: The labels.
        settings: What the count is scored with, which decides the best logits of a softmax.
        count_law: How the logits will be read.
        lambda_range: Weight of the second factor, which is zero.
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
