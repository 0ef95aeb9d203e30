"""Likelihood of a frame whose symbols are fresh in every snapshot."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from risexp.data.frames import Frames
from risexp.estimation.fit import Fit, Gaussian, Scan
from risexp.estimation.grid import Grid
from risexp.estimation.projection import loaded_root
from risexp.estimation.receiver_model import ReceiverModel
from risexp.estimation.stochastic import (
    Gaussians,
    NoisyMeasurements,
    bounded,
    inner_root,
    score,
    weigh,
    whitened,
)
from risexp.physics.signals import coded
from risexp.physics.steering import steering_vector

_RESOLVED = 0.3
"""Least share of a grid point's energy that the sources already found must leave unexplained."""
_SILENT = -20.0
"""Log power over the noise's at which a source starts, before its best power is known."""
_DETERMINED = 1e-2
"""Variance of a log power that its law is taken to leave open."""


@dataclass(frozen=True)
class FreshSymbols:
    """The likelihood of B frames under fresh symbols."""

    receiver: ReceiverModel
    recorded: NoisyMeasurements
    freedom: int = 4

    @classmethod
    def of(cls, receiver: ReceiverModel, frames: Frames, noise: Tensor) -> Self:
        """Keep the frames; every snapshot is a draw of its own, so nothing can be condensed."""
        y, channel, codes = (
            part.to(torch.complex64) for part in (frames.y, frames.channel, frames.codes)
        )
        return cls(receiver, NoisyMeasurements(y, channel, codes, noise))

    @property
    def noise_power(self) -> Tensor:
        """sigma^2, (B,) float64."""
        return self.recorded.noise_power

    def noise_left(self, fit: Fit) -> Tensor:  # noqa: ARG002 - the other law needs it
        """The noise power taken for true: K_MAX fresh sources explain any M-dimensional echo."""
        return self.noise_power

    @property
    def samples(self) -> int:
        """L M, the complex samples of a scene."""
        return self.recorded.y.shape[-2] * self.recorded.y.shape[-1]

    def silence(self) -> Fit:
        """The fit of no source at all."""
        empty = self.recorded.noise_power.new_zeros((len(self.recorded.y), 0))
        points = empty.unsqueeze(-1).expand(-1, -1, 3).float()
        return self._fit(weigh(self.receiver, self.recorded, points, empty))

    def fitted(self, points: Tensor) -> Fit:
        """The fit of sources started at points (B, k, 3), one by one: each needs a power."""
        fit = self.silence()
        for point in points.unbind(1):
            fit = self.extended(fit, point)
        return fit

    def extended(self, fit: Fit, points: Tensor) -> Fit:
        """The fit with one more source a scene, started at points (B, 3), all moved jointly."""
        started = torch.cat([fit.points, points.unsqueeze(1)], dim=1)
        power, _ = self._best_power(fit, points)
        powers = torch.cat([fit.powers, power.unsqueeze(-1)], dim=-1).clamp(min=1e-300).log()
        noise = self.recorded.noise_power
        return self._fit(score(self.receiver, self.recorded, started, bounded(powers, noise)))

    def scan(self, fit: Fit, grid: Grid) -> Scan:
        """Matched filters of all snapshots together, over what is not yet explained."""
        frames, snapshots = self.recorded, self.recorded.y.shape[1]
        columns = steering_vector(self.receiver.panel, *fit.points.unbind(-1))
        matched = grid.energies(self._residual(columns, fit.powers))
        root = loaded_root((columns.conj() @ columns.mT).to(torch.complex128))
        spanned = torch.linalg.solve_triangular(root, columns.conj().to(root.dtype), upper=False)
        left = 1.0 - grid.energies(spanned.to(columns.dtype))
        mean = frames.channel.abs().square().sum((-2, -1)) / frames.channel.shape[-1]
        strength = (mean / frames.noise_power.float()).unsqueeze(-1) * left.clamp(min=_RESOLVED)
        ratio = (matched / (snapshots * strength)).clamp(min=1e-30)
        gain = snapshots * torch.where(ratio > 1.0, ratio - 1.0 - ratio.log(), 0.0)
        power = self.receiver.mean_power(grid.candidates[:, 2].reciprocal())
        loud = power * strength
        odds = power * matched / (1.0 + loud) - snapshots * torch.log1p(loud)
        return Scan(gain, odds.masked_fill(left < _RESOLVED, -torch.inf))

    def gains(self, fit: Fit, points: Tensor) -> Tensor:
        """Increase of the log likelihood at the best power of a point, (B, T)."""
        snapshots = self.recorded.y.shape[1]
        ratios = [self._best_power(fit, point)[1] for point in points.unbind(1)]
        ratio = torch.stack(ratios, dim=-1).clamp(min=1.0)
        return snapshots * (ratio - 1.0 - ratio.log())

    def power_log_likelihood(self, fit: Fit, mean_power: Tensor) -> Tensor:
        """Normal density of the log power that was fitted, around the law's."""
        variance = fit.power_spread.square().unsqueeze(-1) + _DETERMINED
        gap = fit.powers.clamp(min=1e-300).log().unsqueeze(-1) - mean_power.log()
        return -0.5 * (gap.square() / variance + variance.log())

    def _best_power(self, fit: Fit, points: Tensor) -> tuple[Tensor, Tensor]:
        """Best power of a source at points (B, 3), and the power of its echo over its own share."""
        started = torch.cat([fit.points, points.unsqueeze(1)], dim=1)
        silent = self.recorded.noise_power.log().unsqueeze(-1) + _SILENT
        powers = torch.cat([fit.powers.clamp(min=1e-300).log(), silent], dim=-1)
        trial = weigh(self.receiver, self.recorded, started, powers)
        matched, strength = trial.matched[..., -1].abs().square(), trial.strength[..., -1]
        power = (matched - strength).sum(-1) / strength.square().sum(-1).clamp(min=1e-300)
        return power, matched.sum(-1) / strength.sum(-1).clamp(min=1e-300)

    def _residual(self, columns: Tensor, powers: Tensor) -> Tensor:
        """y_l^H Sigma_l^-1 H diag(c_l), (B, L, N): what matched filters meet."""
        frames = self.recorded
        seen = coded(frames.channel, frames.codes, columns).to(torch.complex128)
        log_powers = powers.clamp(min=1e-300).log()
        white, _ = whitened(seen, frames.y, log_powers, frames.noise_power)
        y = frames.y.to(torch.complex128)
        loud = seen * (0.5 * log_powers).exp()[:, None, :, None]
        scale = frames.noise_power[:, None, None]
        root = inner_root(loud, frames.noise_power)
        mixed = torch.linalg.solve_triangular(root.mH, white[..., -1:], upper=True)
        left = (y - (loud.mT @ mixed).squeeze(-1)) / scale
        rows: Tensor = frames.codes * (left.to(torch.complex64).conj() @ frames.channel)
        return rows

    def _fit(self, gaussians: Gaussians) -> Fit:
        count = gaussians.points.shape[1]
        shape = Gaussian.of(
            gaussians.information,
            gaussians.slope,
            gaussians.points[..., 2],
            self.receiver.view.extent,
        )
        variance = shape.variance[:, 3 * count :]
        expected = self.receiver.mean_power(gaussians.points[..., 2].double().reciprocal())
        gap = gaussians.log_powers - expected.log()
        known = variance + _DETERMINED
        law = -0.5 * (gap.square() / known + (2.0 * torch.pi * known).log()).sum(-1)
        return Fit(
            points=gaussians.points,
            powers=gaussians.log_powers.exp(),
            power_spread=variance.sqrt(),
            log_marginal=gaussians.log_likelihood + shape.log_volume + law,
            profile=gaussians.log_likelihood,
            rho_mean=shape.rho_mean,
            rho_spread=shape.rho_spread,
        )
