"""The terms of the predicted covariance's structure: eigenvalues, subspace and columns.

No gradient passes through an eigenvector, except inside `FactoredCovariance.music`, which handles
it. Blocks are in double precision; scales cancel, so that no term depends on a power.
"""

import math
from typing import Final

import torch
from torch import Tensor

from risexp.covariance.subspace import gram
from risexp.loss.prediction_pair import PredictionPair
from risexp.loss.target import Target, sound_scenes
from risexp.physics.geometry import Panel, direction_cosines
from risexp.physics.steering import steering_vector

GAP: Final = 0.05
"""Ratio of first noise to last signal eigenvalue that is small enough for any scene."""
CONTRAST: Final = 0.1
"""Null at a source over the null spectrum around it that is deep enough."""
RING: Final = 8
"""Number of directions around a source that its null is compared with."""
RIDGE: Final = 1e-6
"""Load of the projector on a column, relative to the column's own power."""
_WEAK: Final = 1e-6
"""Load of a product of powers, relative to the square of their sum."""
_NOTHING: Final = 1e-60
"""Square of a power that counts as zero: the columns of a network are in single precision."""
_EMPTY: Final = 1e-12
"""Load relative to the mean power of an element, for columns that are zero."""


def eigengap_excess(pair: PredictionPair) -> Tensor:
    """max(w_K+1 / w_K - max(the label's ratio, 0.05), 0) of the predicted part, (B,) float64.

    Zero for the label, and for any covariance with as large a gap after K eigenvalues.
    """
    count = pair.target.count.unsqueeze(-1)
    ours, theirs = (_ratio(values, count) for values in (pair.spectrum, pair.target.spectrum))
    return (ours - theirs.clamp(min=GAP)).clamp(min=0.0)


def _ratio(spectrum: Tensor, count: Tensor) -> Tensor:
    """w_K+1 / w_K; a regularised covariance has no eigenvalue of zero."""
    return (spectrum.gather(1, count) / spectrum.gather(1, count - 1)).squeeze(-1)


def eigenvalue_deficit(pair: PredictionPair) -> Tensor:
    """max(1 - w_K / the label's w_K, 0) of the predicted part, (B,) float64.

    Zero where the weakest signal eigenvalue is as large as the label's.
    """
    last = pair.target.count.unsqueeze(-1) - 1
    ours, due = (values.gather(1, last) for values in (pair.spectrum, pair.target.spectrum))
    return (1.0 - ours / due).clamp(min=0.0).squeeze(-1)


def unspanned_share(pair: PredictionPair) -> Tensor:
    """|(I - P) a|^2 averaged over the sources, so that weak ones count as much, (B,) float64.

    P = F (F^H F + E)^-1 F^H with a load E of 1e-6 of each column's power: a ridge that a weak
    column feels no more than a strong one. Zero where the predicted columns span the true waves.
    """
    factor = pair.predicted.factor.to(torch.complex128)
    steering = pair.target.steering.mT.to(torch.complex128)
    block = gram(factor)
    power = block.diagonal(dim1=-2, dim2=-1).real.detach()
    load = torch.diag_embed(RIDGE * power + _EMPTY)
    root = torch.linalg.cholesky_ex(block + load).L
    explained = factor @ torch.cholesky_solve(factor.mH @ steering, root)
    return pair.target.over_sources(_energies(steering - explained))


def shallow_nulls(pair: PredictionPair) -> Tensor:
    """max(n(source) - 0.1 mean of n around it, 0) averaged over the sources, (B,).

    n is the null spectrum of the effective covariance at the true count. The ring around a source
    is half a beam away and a constant to the gradient, to save eight times the columns. Zero where
    every source lies in a null ten times as deep as its surroundings.
    """
    target = pair.target
    safe, sound = sound_scenes(pair.prediction.effective)
    nulls = safe.music(target.steering.mT, target.count)
    nearby = safe.detach().music(ring(target).flatten(1, 2).mT, target.count)
    around = nearby.view(*nulls.shape, RING).mean(-1)
    shallow = (nulls - CONTRAST * around).clamp(min=0.0)
    return torch.where(sound, target.over_sources(shallow), torch.nan)


def ring(target: Target) -> Tensor:
    """Steering vectors half a beam around each source, at its range, (B, K_MAX, RING, N)."""
    u, v = (axis.unsqueeze(-1) for axis in direction_cosines(target.phi_rad, target.theta_rad))
    turn = torch.arange(RING, device=u.device, dtype=u.dtype) * (2.0 * math.pi / RING)
    across, up = _half_beam(target.panel)
    rho = target.rho.unsqueeze(-1).expand(*target.rho.shape, RING)
    return steering_vector(target.panel, u + across * turn.cos(), v + up * turn.sin(), rho)


def _half_beam(panel: Panel) -> tuple[float, float]:
    """Half of lambda / aperture, in u and in v: halfway to the first zero of a beam."""
    per_element = 0.5 * panel.wavelength_m / panel.spacing_m
    return per_element / panel.elements_h, per_element / panel.elements_v


def column_overlap(pair: PredictionPair) -> Tensor:
    """Off-diagonal share of the energy of both factors' Gram matrices, (B,).

    Zero where the columns of each factor are orthogonal.
    """
    prediction = pair.prediction
    factors = torch.stack([prediction.angle_factor, prediction.range_factor], dim=1)
    blocks = gram(factors.to(torch.complex128))
    beside = blocks - torch.diag_embed(blocks.diagonal(dim1=-2, dim2=-1))
    return _energy(beside) / _energy(blocks).clamp(min=_NOTHING)


def factor_overlap(pair: PredictionPair) -> Tensor:
    """|A^H C|^2 / (|A|^2 |C|^2) of the two factors, (B,); zero where orthogonal.

    The denominator stays above 1e-6 of (|A|^2 + |C|^2)^2, so that the slope of a factor far weaker
    than the other stays bounded.
    """
    prediction = pair.prediction
    angle = prediction.angle_factor.to(torch.complex128)
    ranges = prediction.range_factor.to(torch.complex128)
    one, two = _energy(angle), _energy(ranges)
    powers = one * two + _WEAK * (one + two).square()
    return _energy(angle.mH @ ranges) / powers.clamp(min=_NOTHING)


def _energy(matrices: Tensor) -> Tensor:
    """Sum of squares over all axes but the first, (B,)."""
    return torch.view_as_real(matrices).square().flatten(1).sum(-1)


def _energies(columns: Tensor) -> Tensor:
    """Squared length of every column, over the second last axis."""
    return torch.view_as_real(columns).square().sum((-3, -1))
