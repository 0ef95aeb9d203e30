"""Likelihood of a frame whose symbols are held over its snapshots.

y = G A(p) g + w with one unknown gain a source: all L M equations are of one vector, and the
profile likelihood is a projection, -log p(y | p) = misfit(p) / sigma^2.
"""

import math
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from risexp.data.frames import Frames
from risexp.estimation.descent import advance, refine
from risexp.estimation.fit import Fit, Gaussian, Scan, log_diagonal
from risexp.estimation.grid import Grid
from risexp.estimation.projection import Equations, Projection, loaded_root, project
from risexp.estimation.receiver_model import ReceiverModel, noise_power
from risexp.physics.steering import steering_vector

_SETTLED = 3e-2
"""Promised gain in log likelihood below which a fit has settled."""
_EXACT = 1e-12
"""The same as a share of the frame's energy, where there is no noise."""
_QUIETEST = 10.0**-4.5
"""Least noise over the frame's power."""
LAST_STEPS = 3
"""Steps from points that are nearly there; twice as many were never worth .001 of success."""
_RESOLVED = 0.3
"""Least share of a grid point's energy that the sources already found must leave unexplained."""


@dataclass(frozen=True)
class HeldSymbols:
    """The likelihood of B frames under held symbols."""

    receiver: ReceiverModel
    equations: Equations
    noise_power: Tensor
    """sigma^2, (B,) float64."""
    tolerance: Tensor
    """Promised gain, as misfit, below which a fit has settled, (B,) float64."""
    samples: int
    """L M"""
    freedom: int = 5

    @classmethod
    def of(cls, receiver: ReceiverModel, frames: Frames, noise: Tensor | None = None) -> Self:
        """Condense frames into normal equations: (H^H H) o (C^H C), and the codes' echo.

        `noise` is sigma^2 (B,) where it is not what the frames say of it. Single precision cannot
        tell apart what lies 45 dB under a frame's power, and takes that for noise.
        """
        channel, codes, y = (
            part.to(torch.complex64) for part in (frames.channel, frames.codes, frames.y)
        )
        gram = (channel.mH @ channel) * (codes.mH @ codes)
        matched = (codes.conj() * (y @ channel.conj())).sum(-2)
        energy = torch.view_as_real(y).double().square().sum((-3, -2, -1))
        equations = Equations(gram, matched.unsqueeze(-1), energy)
        samples = y.shape[-2] * y.shape[-1]
        power = noise_power(frames, "frame") if noise is None else noise
        floor = _QUIETEST * energy / samples
        tolerance = (_SETTLED * power).maximum(_EXACT * energy)
        return cls(receiver, equations, power.maximum(floor).clamp(min=1e-30), tolerance, samples)

    def noise_left(self, fit: Fit) -> Tensor:
        """The misfit of a fit, over the samples that its parameters leave."""
        misfit = self.samples * (-fit.profile / self.samples).exp()
        return misfit / max(self.samples - 0.5 * self.freedom * fit.count, 1.0)

    def silence(self) -> Fit:
        """The fit of no source at all."""
        batch = len(self.equations.energy)
        points = self.equations.energy.new_zeros((batch, 0, 3), dtype=torch.float32)
        return self._fit(project(self.receiver.panel, self.equations, points))

    def extended(self, fit: Fit, points: Tensor) -> Fit:
        """The fit with one more source a scene, started at points (B, 3), all moved jointly."""
        started = torch.cat([fit.points, points.unsqueeze(1)], dim=1)
        return self._fit(refine(self.receiver, self.equations, started, self.tolerance))

    def fitted(self, points: Tensor) -> Fit:
        """The fit of sources near points (B, k, 3), all moved jointly the last few steps."""
        return self._fit(advance(self.receiver, self.equations, points, self.tolerance, LAST_STEPS))

    def scan(self, fit: Fit, grid: Grid) -> Scan:
        """Matched filter of the residual, over the energy that is not yet explained."""
        explained, residual = self._explained(fit)
        noise = self.noise_power.float().unsqueeze(-1)
        matched = grid.energies(residual.unsqueeze(1).conj())
        mean = self.equations.strength().unsqueeze(-1)
        left = mean - grid.energies(explained)
        resolved = left > _RESOLVED * mean
        left = left.clamp(min=1e-30).maximum(_RESOLVED * mean)
        gain = matched / (left * noise)
        ratio = self.receiver.mean_power(grid.candidates[:, 2].reciprocal()) * left / noise
        odds = gain * ratio / (1.0 + ratio) - torch.log1p(ratio)
        return Scan(gain, odds.masked_fill(~resolved, -torch.inf))

    def gains(self, fit: Fit, points: Tensor) -> Tensor:
        """Matched filter over the energy each point leaves unexplained, (B, T)."""
        explained, residual = self._explained(fit)
        columns = steering_vector(self.receiver.panel, *points.unbind(-1))
        strength = (self.equations.through(columns) * columns).real.sum(-1)
        left = strength - (explained @ columns.mT).abs().square().sum(1)
        matched = (columns.conj() @ residual.unsqueeze(-1)).squeeze(-1).abs().square()
        noise = self.noise_power.to(matched.dtype).unsqueeze(-1)
        return matched / (left.maximum(_RESOLVED * strength) * noise)

    def power_log_likelihood(self, fit: Fit, mean_power: Tensor) -> Tensor:
        """CN(gain; 0, mean power + variance of the gain)."""
        total = mean_power + fit.power_spread.unsqueeze(-1)
        return -(math.pi * total).log() - fit.powers.unsqueeze(-1) / total

    def _explained(self, fit: Fit) -> tuple[Tensor, Tensor]:
        """Rows whose energy at a point is what the sources explain of it; b without them."""
        columns = steering_vector(self.receiver.panel, *fit.points.unbind(-1))
        seen = self.equations.through(columns)
        root = loaded_root((seen @ columns.mT).to(torch.complex128))
        sides = torch.cat([seen, columns.conj() @ self.equations.matched], dim=-1)
        white = torch.linalg.solve_triangular(root, sides.to(torch.complex128), upper=False)
        rows, answer = white[..., :-1], white[..., -1:]
        residual = self.equations.matched - (rows.mH @ answer).to(torch.complex64)
        return rows.to(torch.complex64), residual.squeeze(-1)

    def _marginal(self, projection: Projection) -> Tensor:
        """Log CN(y; 0, sigma^2 I + B P B^H), less the log of (pi sigma^2)^m.

        With a = P^1/2 / sigma, L L^H = I + a B^H B a and b = a B^H y / sigma it is
        |L^-1 b|^2 - log det(L L^H) - |y|^2 / sigma^2.
        """
        noise = self.noise_power[:, None]
        scale = (
            self.receiver.mean_power(projection.points[..., 2].double().reciprocal()) / noise
        ).sqrt()
        eye = torch.eye(scale.shape[-1], dtype=torch.complex128, device=scale.device)
        root = loaded_root(eye + projection.overlap * scale.unsqueeze(-1) * scale.unsqueeze(-2))
        matched = (
            scale.unsqueeze(-1)
            * (projection.overlap @ projection.gains)
            / noise.sqrt().unsqueeze(-1)
        )
        inside = torch.linalg.solve_triangular(root, matched, upper=False)
        explained = torch.view_as_real(inside).square().sum((-3, -2, -1))
        return explained - self.equations.energy / self.noise_power - 2.0 * log_diagonal(root)

    def _fit(self, projection: Projection) -> Fit:
        noise = self.noise_power[:, None]
        inverse = (
            torch.cholesky_inverse(loaded_root(projection.overlap)).diagonal(dim1=-2, dim2=-1).real
        )
        shape = Gaussian.of(
            2.0 / noise.unsqueeze(-1) * projection.curvature,
            2.0 / noise * projection.slope,
            projection.points[..., 2],
            self.receiver.view.extent,
        )
        misfit = projection.misfit.maximum(_QUIETEST * self.equations.energy + 1e-300)
        return Fit(
            points=projection.points,
            powers=projection.gains[..., 0].abs().square(),
            power_spread=noise * inverse,
            profile=-self.samples * (misfit / self.samples).log(),
            log_marginal=self._marginal(projection) + shape.log_volume,
            rho_mean=shape.rho_mean,
            rho_spread=shape.rho_spread,
        )
