"""What a greedy search asks of a likelihood, and what it gets back."""

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from risexp.estimation.grid import Grid
from risexp.estimation.receiver_model import ReceiverModel


@dataclass(frozen=True)
class Fit:
    """k sources fitted to each of B scenes; the likelihood near them is taken as Gaussian."""

    points: Tensor
    """(B, k, 3) float32: u, v, rho."""
    powers: Tensor
    """(B, k) float64: |gain|^2, or mean power under fresh symbols."""
    power_spread: Tensor
    """(B, k) float64: variance of a gain, or standard deviation of a log power."""
    profile: Tensor
    """(B,) float64: log likelihood that an information criterion compares."""
    log_marginal: Tensor
    """(B,) float64: log likelihood integrated over powers, by their law at these ranges, and over
    the Gaussian of positions."""
    rho_mean: Tensor
    """(B, k) float64: where its peak along rho would lie if the view had no limits."""
    rho_spread: Tensor
    """(B, k) float64: standard deviation of rho."""

    @property
    def count(self) -> int:
        """Number of sources (k)."""
        return self.points.shape[1]


@dataclass(frozen=True)
class Scan:
    """What one more source at each grid point would explain."""

    gain: Tensor
    """(B, G): increase of the log likelihood at the best power."""
    log_odds: Tensor
    """(B, G): log likelihood ratio averaged over the power law at that point's range."""


class Law(Protocol):
    """A law of the symbols with the measurements of B scenes put in."""

    @property
    def setting(self) -> ReceiverModel:
        """What is known beforehand."""
        ...

    @property
    def samples(self) -> int:
        """Complex samples of a scene (m)."""
        ...

    @property
    def freedom(self) -> int:
        """Real parameters of one source."""
        ...

    def noise_left(self, fit: Fit) -> Tensor:
        """Noise power that would explain what a fit of K_MAX sources leaves, (B,)."""
        ...

    @property
    def noise_power(self) -> Tensor:
        """The noise power that the likelihood takes for true, (B,)."""
        ...

    def silence(self) -> Fit:
        """The fit of no source at all."""
        ...

    def extended(self, fit: Fit, points: Tensor) -> Fit:
        """The fit with one more source a scene, started at points (B, 3), all moved jointly."""
        ...

    def fitted(self, points: Tensor) -> Fit:
        """The fit of sources near points (B, k, 3), all moved jointly."""
        ...

    def scan(self, fit: Fit, grid: Grid) -> Scan:
        """What one more source would explain."""
        ...

    def gains(self, fit: Fit, points: Tensor) -> Tensor:
        """What one more source at each of a few points (B, T, 3) would explain, exactly: (B, T)."""
        ...

    def power_log_likelihood(self, fit: Fit, mean_power: Tensor) -> Tensor:
        """Log density of each fitted power where the law expects `mean_power`: (B, k, R).

        Args:
            fit: Sources whose powers were fitted.
            mean_power: (R,), or (B, k, R) where it differs.
        """
        ...
