"""The one builder of the covariance that loss, count head, validation and inference all see."""

import torch
from torch import Tensor

from risexp.covariance.factored import FactoredCovariance


def alpha(snr_db: Tensor, base: float) -> Tensor:
    """Share of identity by a scene's own SNR: clip(1e-3 + base 10^(-SNR/20), 1e-4, 0.25)."""
    return (1e-3 + base * torch.pow(10.0, -snr_db / 20.0)).clamp(1e-4, 0.25)


def effective(
    predicted: FactoredCovariance,
    snr_db: Tensor,
    sampled: FactoredCovariance | None = None,
    beta: float | Tensor = 0.0,
    *,
    alpha_base: float = 1e-3,
) -> FactoredCovariance:
    """Trace-normalise, blend in the samples, trace-normalise, regularise by SNR.

    The label goes through the same function without samples, so a perfect prediction scores 0.

    Args:
        predicted: What the network answered, or the label.
        snr_db: (B,) real.
        sampled: What the measurements say; left out where beta is zero.
        beta: Share of the samples, one for all or (B,).
        alpha_base: Slope of the regularisation over noise amplitude.
    """
    normal = predicted.trace_normalize()
    if sampled is not None:
        normal = normal.blend(sampled.trace_normalize(), beta).trace_normalize()
    return normal.regularise(alpha(snr_db, alpha_base))
