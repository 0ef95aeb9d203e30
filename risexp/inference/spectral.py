"""Localisation on the spectrum of a covariance: MUSIC or MVDR, from a grid to continuous points.

Both spectra are a length |B^H a|^2 whose maxima are sources: B spans the signal subspace for MUSIC,
where 1 - |B^H a|^2 is the null spectrum, and whitens the covariance for MVDR, where
a^H R^-1 a = (|a|^2 - |B^H a|^2) / d. So one refinement serves both: a source's point is where its
steering vector explains most of B.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from risexp.covariance.factored import FactoredCovariance
from risexp.estimation.descent import refine
from risexp.estimation.grid import search_grid
from risexp.estimation.peaks import distinct, highest_peaks
from risexp.estimation.projection import Equations
from risexp.estimation.receiver_model import ReceiverModel
from risexp.inference.estimate import Estimate, joined
from risexp.inference.recursive_music import recursive_music
from risexp.physics.geometry import angles

Spectrum = Literal["music", "mvdr"]

_SCENES = 128
"""Scenes handled at once: what bounds the memory."""
_SPARE = 19
"""Peaks of MVDR refined beyond the largest count: a coarse grid misjudges their order."""
_SETTLED = 1e-10
"""Promised gain below which a peak has settled, as a share of the whitened energy."""


@dataclass(frozen=True)
class Spectral:
    """Finds as many sources as it is told."""

    setting: ReceiverModel
    spectrum: Spectrum = "music"

    def locate(self, covariance: FactoredCovariance, count: Tensor) -> Estimate:
        """Positions of `count` (B,) sources each; the probabilities say that count alone.

        MVDR needs a covariance with something on its diagonal: regularise it first.
        """
        starts = range(0, max(len(covariance), 1), _SCENES)
        return joined(
            [
                self._locate(covariance[start : start + _SCENES], count[start : start + _SCENES])
                for start in starts
            ]
        )

    def _locate(self, covariance: FactoredCovariance, count: Tensor) -> Estimate:
        setting = self.setting
        if self.spectrum == "music":
            points = _music(setting, covariance, count)
        else:
            points = _capon_peaks(setting, covariance)
        return placed(points.double(), count, setting.view.sources_max)


def _music(setting: ReceiverModel, covariance: FactoredCovariance, count: Tensor) -> Tensor:
    """Points (B, K_MAX, 3) of the signal subspace's sources."""
    basis = covariance.signal_subspace(count)[..., : setting.view.sources_max]
    grid = search_grid(setting.panel, setting.view, count.device)
    return recursive_music(setting, grid, basis.to(torch.complex64), count)


def _capon_peaks(setting: ReceiverModel, covariance: FactoredCovariance) -> Tensor:
    """Points (B, K_MAX, 3) of the highest peaks of the MVDR spectrum."""
    columns = covariance.whitening().mH.to(torch.complex64)
    grid = search_grid(setting.panel, setting.view, columns.device)
    starts = highest_peaks(grid, grid.energies(columns.mH), setting.view.sources_max + _SPARE)
    tried = starts.shape[1]
    energy = torch.view_as_real(columns).double().square().sum((-3, -2, -1))
    equations = Equations(
        None, columns.repeat_interleave(tried, dim=0), energy.repeat_interleave(tried)
    )
    peaks = refine(setting, equations, starts.reshape(-1, 1, 3), _SETTLED * equations.energy)
    explained = (equations.energy - peaks.misfit).view(-1, tried)
    points = peaks.points.view(-1, tried, 3)
    best = distinct(grid, points, explained, setting.view.sources_max)
    found = points.gather(1, best.unsqueeze(-1).expand(-1, -1, 3))
    # A view of a few points has no more peaks than those: the last one stands for the rest.
    missing = setting.view.sources_max - found.shape[1]
    return torch.cat([found, found[:, -1:].expand(-1, missing, -1)], dim=1)


def placed(points: Tensor, count: Tensor, most: int) -> Estimate:
    """An estimate from points (B, S, 3), of which each scene keeps its count."""
    absent = torch.arange(points.shape[1], device=count.device) >= count.unsqueeze(-1)
    phi, theta = angles(points[..., 0], points[..., 1])
    slots = torch.stack([phi, theta, points[..., 2].reciprocal()])
    certain = torch.nn.functional.one_hot(count.clamp(1, most) - 1, most).double()
    return Estimate(count, certain, *slots.masked_fill(absent, torch.nan))
