"""Gaussian sources fitted to frames whose symbols are fresh in every snapshot, by Fisher scoring.

y_l ~ CN(0, Sigma_l),   Sigma_l = sigma^2 I + B_l P B_l^H,   B_l = H diag(c_l) A(p)

with one mean power a source (stochastic maximum likelihood: P. Stoica, A. Nehorai, Performance
study of conditional and unconditional direction-of-arrival estimation, IEEE Trans. ASSP 38, 1990).
Every parameter i turns Sigma by w_i (d_i b_i^H + b_i d_i^H): for a position d is a slope of b and
w = p, for a log power d = b and w = p / 2. With M_xy = x^H Sigma^-1 y and c_x = x^H Sigma^-1 y_l

    slope_i        = sum_l 2 w_i Re(conj(c_d) c_b - M_bd)
    information_ij = sum_l 2 w_i w_j Re(M_bi,dj M_bj,di + M_bi,bj M_dj,di)

Coordinates run over u of all k sources, then v, rho and log power.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from risexp.core.batch import TensorBatch
from risexp.estimation.descent import damped_step, held, moved
from risexp.estimation.receiver_model import ReceiverModel
from risexp.physics.signals import coded
from risexp.physics.steering import steering_slopes

_STEPS = 12
_SETTLED = 3e-2
"""Promised gain in log likelihood below which a fit has settled."""
_POWER_STEP = 1.5
"""Longest step of a log power."""
_POWER_SPAN = 25.0
"""A log power stays within this of the noise's; beyond, it says nothing."""


@dataclass(frozen=True)
class NoisyMeasurements:
    """The measurements and what is known of their noise."""

    y: Tensor
    """(B, L, M) complex64."""
    channel: Tensor
    """(B, M, N) complex64."""
    codes: Tensor
    """(L, N) or (B, L, N) complex64."""
    noise_power: Tensor
    """sigma^2, (B,) float64."""


@dataclass(frozen=True)
class Gaussians(TensorBatch):
    """Sources with powers, and how the likelihood turns as they change."""

    points: Tensor
    """(B, k, 3) float32."""
    log_powers: Tensor
    """(B, k) float64."""
    log_likelihood: Tensor
    """(B,) float64, relative to noise of power 1."""
    slope: Tensor
    """(B, 4 k) float64."""
    information: Tensor
    """(B, 4 k, 4 k) float64."""
    matched: Tensor
    """b_l^H Sigma_l^-1 y_l, (B, L, k) complex128."""
    strength: Tensor
    """b_l^H Sigma_l^-1 b_l, (B, L, k) float64."""


def weigh(
    receiver: ReceiverModel, frames: NoisyMeasurements, points: Tensor, log_powers: Tensor
) -> Gaussians:
    """Likelihood, slope and information of sources at points (B, k, 3) with powers (B, k)."""
    count = points.shape[1]
    columns = torch.cat(steering_slopes(receiver.panel, *points.unbind(-1)), dim=1)
    seen = coded(frames.channel, frames.codes, columns).to(torch.complex128)
    noise = frames.noise_power[:, None, None, None]
    white, log_det = whitened(seen, frames.y, log_powers, frames.noise_power)
    sides = torch.cat([seen, frames.y.unsqueeze(-2).to(seen.dtype)], dim=-2)
    blocks = (sides.conj() @ sides.mT - white.mH @ white) / noise
    m, c = blocks[..., :-1, :-1], blocks[..., :-1, -1]
    quadratic = blocks[..., -1, -1].real.sum(-1)
    carrier = torch.arange(count, device=m.device).repeat(4)
    turned = torch.cat([carrier[: 3 * count] + _blocks(count, m.device), carrier[:count]])
    weight = log_powers.exp().repeat(1, 4)
    weight[:, 3 * count :] *= 0.5
    crossed, carried = m[..., carrier, :][..., turned], m[..., carrier, :][..., carrier]
    turning = m[..., turned, :][..., turned]
    pull = (c[..., turned].conj() * c[..., carrier]).real
    own = crossed.diagonal(dim1=-2, dim2=-1).real
    pairs = (crossed * crossed.mT + carried * turning.mT).real.sum(1)
    return Gaussians(
        points=points,
        log_powers=log_powers,
        log_likelihood=-log_det - quadratic,
        slope=2.0 * weight * (pull - own).sum(1),
        information=2.0 * weight.unsqueeze(-1) * weight.unsqueeze(-2) * pairs,
        matched=c[..., :count],
        strength=m.diagonal(dim1=-2, dim2=-1).real[..., :count],
    )


def whitened(
    seen: Tensor, y: Tensor, log_powers: Tensor, noise_power: Tensor
) -> tuple[Tensor, Tensor]:
    """Rows Z_l whose products complete Woodbury's identity, and sum_l log det Sigma_l.

    Z = L^-1 P^1/2 B^H [X, y] with L L^H = sigma^2 I + P^1/2 B^H B P^1/2; `seen` (B, L, r, M) holds
    X_l as rows, the k rows of B_l first.
    """
    count, antennas = log_powers.shape[-1], seen.shape[-1]
    scale = (0.5 * log_powers).exp()[:, None, :, None]
    loud = seen[..., :count, :] * scale
    root = inner_root(loud, noise_power)
    sides = torch.cat([seen, y.unsqueeze(-2).to(seen.dtype)], dim=-2)
    white = torch.linalg.solve_triangular(root, loud.conj() @ sides.mT, upper=False)
    pivots = root.diagonal(dim1=-2, dim2=-1).real.clamp(min=1e-300).log().sum((-2, -1))
    rest = seen.shape[1] * (antennas - count) * noise_power.log()
    return white, 2.0 * pivots + rest


def inner_root(loud: Tensor, noise_power: Tensor) -> Tensor:
    """L L^H = sigma^2 I + P^1/2 B^H B P^1/2 for rows P^1/2 B_l^T (B, L, k, M), (B, L, k, k)."""
    eye = torch.eye(loud.shape[-2], dtype=loud.dtype, device=loud.device)
    noise = noise_power[:, None, None, None]
    root: Tensor = torch.linalg.cholesky_ex(noise * eye + loud.conj() @ loud.mT).L
    return root


def score(
    receiver: ReceiverModel, frames: NoisyMeasurements, points: Tensor, log_powers: Tensor
) -> Gaussians:
    """Climb the likelihood jointly in positions and powers; no step may lower it."""
    count = points.shape[1]
    best = weigh(receiver, frames, receiver.view.clamp(points), log_powers)
    damping = torch.full_like(best.log_likelihood, 1e-3)
    moving = torch.ones_like(damping, dtype=torch.bool)
    for _ in range(_STEPS):
        still = _still(receiver, best)
        step = damped_step(best.slope, best.information, damping, still)
        moving &= (best.slope * step).sum(-1) > _SETTLED
        if not bool(moving.any()):
            break
        place, power = step[:, : 3 * count], step[:, 3 * count :]
        there = moved(receiver, best.points, place)
        louder = best.log_powers + power.clamp(-_POWER_STEP, _POWER_STEP)
        tried = weigh(receiver, frames, there, bounded(louder, frames.noise_power))
        better = tried.log_likelihood > best.log_likelihood
        # A settled scene stays: no answer may depend on which scenes are searched beside it.
        best = tried.where(better & moving, best)
        damping = torch.where(better, 0.2 * damping, 8.0 * damping).clamp(1e-6, 1e6)
    return best


def bounded(log_powers: Tensor, noise_power: Tensor) -> Tensor:
    """Log powers (B, k) within a span around the noise's."""
    middle = noise_power.log().unsqueeze(-1)
    return log_powers.maximum(middle - _POWER_SPAN).minimum(middle + _POWER_SPAN)


def _still(receiver: ReceiverModel, fit: Gaussians) -> Tensor:
    count = fit.points.shape[1]
    places = held(receiver.view, fit.points, fit.slope[:, : 3 * count])
    return torch.cat([places, torch.zeros_like(places[:, :count])], dim=-1)


def _blocks(count: int, device: torch.device) -> Tensor:
    """Offsets of the slopes along u, v and rho in X, for each source: (3 k,)."""
    return count * torch.arange(1, 4, device=device).repeat_interleave(count)
