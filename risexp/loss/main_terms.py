"""The terms that say what an answer is for: covariances, and where the sources are."""

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from risexp.loss.positions import position_error
from risexp.loss.prediction_pair import PredictionPair


def covariance_error(guess: PredictionPair) -> Tensor:
    """|R - label|^2 / |label|^2 of the effective covariances, blend included, (B,) float64.

    Gradients pass through the predicted part alone. Zero for the label, where beta is zero.
    """
    return guess.prediction.effective.nmse(guess.target.effective)


def predicted_error(guess: PredictionPair) -> Tensor:
    """The same of the predicted part alone, which cannot hide behind samples, (B,) float64.

    Zero for the label.
    """
    return guess.predicted.nmse(guess.target.effective)


def pointer_error(guess: PredictionPair) -> Tensor:
    """Error of phi, theta and rho under the best order, averaged over the sources, (B,).

    Zero where every source has a slot that points to it.
    """
    pointers, settings = guess.prediction.pointers, guess.settings
    slots = (pointers.phi_rad, pointers.theta_rad, pointers.rho)
    phi, theta, rho = (guess.of_sources(each) for each in slots)
    off = position_error((phi, theta, rho), guess.target.points, settings.rho_unit)
    return guess.target.over_sources(off)


def existence_error(guess: PredictionPair) -> Tensor:
    """Cross entropy of the slots' existence under the same order, averaged over slots, (B,).

    Zero where slots that answer a source are sure to hold one, and all others are sure not to.
    """
    logits = guess.prediction.pointers.existence
    wanted = guess.filled.to(logits.dtype)
    return binary_cross_entropy_with_logits(logits, wanted, reduction="none").mean(-1)
