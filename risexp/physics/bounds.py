"""Cramer-Rao bounds on the positions of the sources, for both laws of the symbols.

`frame` (the symbols are unknown constants): with B = G A diag(s) the mean of y,

    J = [G D_phi S, G D_theta S, G D_rho S, G A, j G A],   FIM = (2 / sigma^2) Re J^H J.

`snapshot` (the symbols are Gaussian): Slepian-Bangs on Sigma_l = G_l A P A^H G_l^H + sigma^2 I,

    FIM_ij = sum_l tr(Sigma_l^-1 D_i Sigma_l Sigma_l^-1 D_j Sigma_l),

over positions and powers, sigma^2 known. (Symbols of modulus 1, as under the power law `equal`, are
not Gaussian; the bound is then that of a receiver which does not use it.)
(S. M. Kay, Fundamentals of Statistical Signal Processing:
Estimation Theory, 1993, sections 3.9 and 15.7.) The position block of the inverse is the bound;
range comes from rho by dr = -r^2 d rho.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from risexp.physics.geometry import Panel, direction_cosines
from risexp.physics.signals import stacked_operator
from risexp.physics.steering import steering_slopes


@dataclass(frozen=True)
class Sources:
    """True positions, padded to K_MAX with anything, NaN too; `present` says which are sources."""

    phi_rad: Tensor
    """(B, K) float64"""
    theta_rad: Tensor
    """(B, K) float64"""
    range_m: Tensor
    """(B, K) float64"""
    present: Tensor
    """(B, K) bool"""


def frame_bound(
    panel: Panel,
    channel: Tensor,
    codes: Tensor,
    sources: Sources,
    gains: Tensor,
    noise_power: Tensor,
) -> Tensor:
    """Bound under held symbols: the covariance of (phi, theta, range), (B, 3 K, 3 K) float64.

    Rows run over phi of all sources, then theta, then range; absent sources are NaN, and a scene
    whose parameters cannot be told apart is infinite. `gains` (B, K) complex are amplitudes times
    symbols, `codes` (L, N) or (B, L, N).
    """
    operator = stacked_operator(channel.to(torch.complex128), codes.to(torch.complex128))
    response, *slopes = (operator @ column.mT for column in _columns(panel, sources))
    gains = torch.where(sources.present, gains, 0.0).to(torch.complex128).unsqueeze(-2)
    response = response * sources.present.unsqueeze(-2)
    jacobian = torch.cat([*(slope * gains for slope in slopes), response, 1j * response], dim=-1)
    information = 2.0 / noise_power.double()[:, None, None] * (jacobian.mH @ jacobian).real
    return _position_block(information, sources)


def snapshot_bound(
    panel: Panel,
    channel: Tensor,
    codes: Tensor,
    sources: Sources,
    powers: Tensor,
    noise_power: Tensor,
) -> Tensor:
    """Bound under fresh symbols: as `frame_bound`, with `powers` (B, K) real in place of gains."""
    seen = channel.to(torch.complex128).unsqueeze(-3) * codes.to(torch.complex128).unsqueeze(-2)
    response, *slopes = (seen @ column.mT.unsqueeze(-3) for column in _columns(panel, sources))
    powers = torch.where(sources.present, powers, 0.0).double()[:, None, None, :]
    noise = noise_power.double()[:, None, None, None] * torch.eye(
        seen.shape[-2], device=seen.device
    )
    root = torch.linalg.cholesky((response * powers) @ response.mH + noise)
    white, *white_slopes = (
        torch.linalg.solve_triangular(root, side, upper=False) for side in (response, *slopes)
    )
    power_slopes = _outer(white * sources.present[:, None, None, :], white) / 2.0
    turns = [*(_outer(slope * powers, white) for slope in white_slopes), power_slopes]
    whitened = torch.cat(turns, dim=-3)
    information = torch.einsum("blimn,bljmn->bij", whitened.conj(), whitened).real
    return _position_block(information, sources)


def _columns(panel: Panel, sources: Sources) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Steering and its derivatives along phi, theta and rho, each (B, K, N)."""
    phi = torch.where(sources.present, sources.phi_rad, 0.0).double()
    theta = torch.where(sources.present, sources.theta_rad, 0.0).double()
    rho = torch.where(sources.present, sources.range_m, 1.0).double().reciprocal()
    u, v = direction_cosines(phi, theta)
    a, along_u, along_v, along_rho = steering_slopes(panel, u, v, rho)
    turn_u = (phi.cos() * theta.cos()).unsqueeze(-1)
    tilt_u = (-phi.sin() * theta.sin()).unsqueeze(-1)
    tilt_v = theta.cos().unsqueeze(-1)
    return a, turn_u * along_u, tilt_u * along_u + tilt_v * along_v, along_rho


def _outer(left: Tensor, right: Tensor) -> Tensor:
    """left_k right_k^H + right_k left_k^H for every column k: (..., K, M, M)."""
    one_side = torch.einsum("...mk,...nk->...kmn", left, right.conj())
    return one_side + one_side.mH


def _position_block(information: Tensor, sources: Sources, eps: float = 1e-12) -> Tensor:
    """Invert the information, its diagonal scaled to one first; positions in (rad, rad, m).

    A pivot below `eps` is rounding: nothing tells its parameters apart, and the bound is
    infinite.
    """
    diagonal = information.diagonal(dim1=-2, dim2=-1)
    absent = ~sources.present.repeat(1, diagonal.shape[-1] // sources.present.shape[-1])
    scale = torch.where(diagonal > 0.0, diagonal, 1.0).rsqrt()
    scaled = information * scale.unsqueeze(-1) * scale.unsqueeze(-2)
    root, failed = torch.linalg.cholesky_ex(scaled + torch.diag_embed(absent.double()))
    pivots = root.diagonal(dim1=-2, dim2=-1).square().amin(-1)
    singular = ((failed > 0) | ~(pivots > eps))[:, None, None]
    eye = torch.eye(root.shape[-1], dtype=root.dtype, device=root.device)
    inverse = torch.cholesky_inverse(torch.where(singular, eye, root))
    inverse = inverse * scale.unsqueeze(-1) * scale.unsqueeze(-2)
    inverse = torch.where(singular, torch.inf, inverse)
    size = 3 * sources.phi_rad.shape[-1]
    to_metres = torch.cat(
        [torch.ones_like(sources.range_m).repeat(1, 2), -sources.range_m.square()], 1
    )
    block = inverse[:, :size, :size] * to_metres.unsqueeze(-1) * to_metres.unsqueeze(-2)
    present = sources.present.repeat(1, 3)
    both = present.unsqueeze(-1) & present.unsqueeze(-2)
    return torch.where(both, block, torch.nan)
