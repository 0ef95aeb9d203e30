"""Checks of the loss itself: at the start, and on the numbers of every epoch."""

from dataclasses import replace

import torch

from risexp.covariance.factored import FactoredCovariance
from risexp.errors import VerificationFailed

LIMIT = 1e-9
"""What rounding may leave of an error that is zero."""
_LARGEST = 100.0
"""An NMSE of covariances of equal trace lies far below."""


def nmse_self_test(covariance: FactoredCovariance) -> None:
    """Make sure that `nmse` is an error: nmse(R, R) = 0 and nmse(0, R) = 1.

    Args:
        covariance: Labels at their raw power, none of them zero.

    Raises:
        VerificationFailed: It is not.
    """
    nothing = replace(
        covariance,
        factor=torch.zeros_like(covariance.factor),
        diagonal=torch.zeros_like(covariance.diagonal),
    )
    for name, other, due in (("nmse(R, R)", covariance, 0.0), ("nmse(0, R)", nothing, 1.0)):
        found = other.nmse(covariance)
        off = float((found - due).abs().max())
        if not off <= LIMIT:
            raise VerificationFailed(
                f"{name} is off by {off:.3g} where {due:g} is due: the covariance error is a "
                "similarity, or normalised by something other than |label|^2"
            )


def covariance_fault(cov: float) -> str | None:
    """Why a mean covariance error cannot be one, or None: it lies between 0 and 100."""
    if 0.0 < cov < _LARGEST:
        return None
    return f"cov is {cov:.3g}, and an NMSE under training lies between 0 and {_LARGEST:g}"


def blend_fault(effective: FactoredCovariance) -> str | None:
    """Why a covariance cannot teach in training, or None: its gradient must reach the network."""
    if effective.factor.requires_grad:
        return None
    return (
        "the effective covariance has no gradient, so nothing it is scored by reaches the network: "
        "build it of what the network answers, and detach nothing but the samples"
    )
