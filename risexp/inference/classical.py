"""MUSIC and MVDR on sampled covariances, with a count by their eigenvalues."""

from dataclasses import dataclass

from torch import Tensor

from risexp.covariance.effective import effective
from risexp.covariance.factored import FactoredCovariance
from risexp.covariance.sampled import Criterion, Method, order_scores, sampled_covariance
from risexp.data.frames import Frames
from risexp.errors import DataInvalid
from risexp.estimation.receiver_model import snr_db_of
from risexp.inference.estimate import Estimate
from risexp.inference.spectral import Spectral


@dataclass(frozen=True)
class Classical:
    """MUSIC or MVDR on the sampled covariance; the count by an information criterion, or known."""

    spectral: Spectral
    method: Method
    """How the covariance under the spectrum is sampled."""
    ridge: float
    alpha_base: float
    criterion: Criterion = "mdl"

    def __call__(self, frames: Frames) -> Estimate:
        """Count by the eigenvalues of the per-snapshot samples, then localise.

        Under held symbols joint samples have rank one: no criterion could count on them.
        """
        scores = self._scores(frames.checked())
        probabilities = (-scores).softmax(-1)
        located = self.spectral.locate(self._seen(frames), scores.argmin(-1) + 1)
        slots = located.phi_rad, located.theta_rad, located.range_m
        return Estimate(located.count, probabilities, *slots)

    def locate(self, frames: Frames, count: Tensor) -> Estimate:
        """Localise a known number of sources, (B,) int64."""
        return self.spectral.locate(self._seen(frames.checked()), count)

    def _scores(self, frames: Frames) -> Tensor:
        """Half of -2 log likelihood + penalty of 1 .. K_MAX, (B, K_MAX)."""
        snapshots = frames.y.shape[1]
        if snapshots < 2:
            message = f"{self.criterion} compares eigenvalues: it needs at least 2 snapshots, not 1"
            raise DataInvalid(message)
        samples = self._samples("per_snapshot", frames)
        most = self.spectral.receiver.view.sources_max
        scores = order_scores(self.criterion, samples.eigenvalues(), snapshots, most)[:, 1:]
        return scores if self.criterion == "mdl" else 0.5 * scores

    def _seen(self, frames: Frames) -> FactoredCovariance:
        """The effective covariance of the samples."""
        samples = self._samples(self.method, frames)
        return effective(
            samples, snr_db_of(frames, self.spectral.receiver.symbols), alpha_base=self.alpha_base
        )

    def _samples(self, method: Method, frames: Frames) -> FactoredCovariance:
        return sampled_covariance(method, frames.y, frames.channel, frames.codes, self.ridge)
