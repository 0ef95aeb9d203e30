"""Localisation on the spectrum of a covariance: MUSIC or MVDR, from a grid to continuous points.

Both spectra are a length |B^H a|^2 whose maxima are sources: B spans the signal subspace for MUSIC,
where 1 - |B^H a|^2 is the null spectrum, and whitens the covariance for MVDR, where
a^H R^-1 a = (|a|^2 - |B^H a|^2) / d. So one refinement serves both: a source's point is where its
steering vector explains most of B.

MUSIC finds one source at a time, and projects those found out of the subspace: weak and close
sources have no peak of their own before (J. C. Mosher, R. M. Leahy, Source localization using
recursively applied and projected MUSIC, IEEE Trans. Signal Processing 47, 1999). With U the signal
subspace, Q the span of the j sources found, and V of the K - j strongest directions of
(I - Q Q^H) U, the next is where

    |V^H a|^2 / (1 - |Q^H a|^2)

is largest. U^H a is taken once over the grid, and one more column for each source found. At the end
all points move jointly, to where their steering vectors span U best.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from risexp.covariance.factored import FactoredCovariance
from risexp.estimation.descent import refine
from risexp.estimation.grid import Grid, distinct, highest_peaks, search_grid, summed_energy
from risexp.estimation.projection import Equations, loaded_root
from risexp.estimation.receiver_model import ReceiverModel
from risexp.inference.estimate import Estimate
from risexp.physics.geometry import angles
from risexp.physics.steering import steering_vector

_STEPS = 4
_ROUGH = 1e-3
_SETTLED = 1e-10
"""Promised gains, as shares of the subspace's energy, below which a search step and the final
positions have settled."""
_RESOLVED = 0.1
"""Least share of a steering vector that must lie outside the span of the sources found."""
_RANK = 1e-5
"""Directions with less of the subspace's energy are rounding."""

Spectrum = Literal["music", "mvdr"]

_SCENES = 128
"""Scenes handled at once: what bounds the memory."""
_SPARE = 19
"""Peaks of MVDR refined beyond the largest count: a coarse grid misjudges their order."""


def recursive_music(receiver: ReceiverModel, grid: Grid, basis: Tensor, count: Tensor) -> Tensor:
    """Points (B, K_MAX, 3) of the sources whose steering vectors span the subspaces.

    `basis` U (B, N, q) complex64 is orthonormal, its columns beyond a scene's rank zero. Slots
    beyond the `count` (B,) of a scene hold nothing of meaning.
    """
    energy = torch.view_as_real(basis).double().square().sum((-3, -2, -1))
    equations = Equations(None, basis, energy)
    most, size = receiver.view.sources_max, basis.shape[-1]
    seen = basis.new_empty((len(basis), size + most, len(grid.candidates)))
    seen[:, :size] = grid.responses(basis.mH)
    points = grid.candidates.new_zeros((len(basis), 0, 3))
    waves = basis.new_zeros((len(basis), 0, basis.shape[1]))
    for placed in range(most):
        heights = _heights(seen[:, : size + placed], basis, waves, count - placed)
        start = grid.candidates[heights.argmax(-1)].unsqueeze(1)
        point = refine(receiver, equations, start, _ROUGH * energy, steps=_STEPS).points
        wave = steering_vector(receiver.panel, *point.unbind(-1))
        points, waves = torch.cat([points, point], dim=1), torch.cat([waves, wave], dim=1)
        seen[:, size + placed] = grid.responses(wave.conj()).squeeze(1)
    present = torch.arange(points.shape[1], device=count.device) < count.unsqueeze(-1)
    return refine(receiver, equations, points, _SETTLED * energy, present).points


def _heights(seen: Tensor, basis: Tensor, waves: Tensor, left: Tensor) -> Tensor:
    """The recursive spectrum over the grid, (B, G); below zero where nothing can be resolved.

    `seen` (B, q + j, G) is U^H a, then A^H a of the j sources found, whose steering vectors are
    `waves` (B, j, N); `left` (B,) are still to be found.
    """
    size = basis.shape[-1]
    root = loaded_root((waves.conj() @ waves.mT).to(torch.complex128))
    eye = torch.eye(waves.shape[1], dtype=root.dtype, device=root.device).expand_as(root)
    inverse = torch.linalg.solve_triangular(root, eye, upper=False)
    spanned = inverse @ (waves.conj() @ basis).to(root.dtype)
    own = (basis.mH @ basis).to(root.dtype)
    strength, turn = torch.linalg.eigh(own - spanned.mH @ spanned)
    rank = torch.arange(size - 1, -1, -1, device=left.device)
    kept = (rank < left.clamp(min=1).unsqueeze(-1)) & (strength > _RANK)
    scale = torch.where(kept, strength.clamp(min=_RANK).rsqrt(), 0.0)
    onto = (turn * scale.unsqueeze(-2)).mH
    mixed = torch.cat([onto, -onto @ spanned.mH @ inverse], dim=-1).to(seen.dtype) @ seen
    explained = inverse.to(seen.dtype) @ seen[:, size:]
    outside = 1.0 - summed_energy(explained)
    heights = summed_energy(mixed) / outside.clamp(min=_RESOLVED)
    return heights.masked_fill(outside < _RESOLVED, -1.0)


@dataclass(frozen=True)
class Spectral:
    """Locates a known number of sources."""

    receiver: ReceiverModel
    spectrum: Spectrum = "music"

    def locate(self, covariance: FactoredCovariance, count: Tensor) -> Estimate:
        """Positions of `count` (B,) sources each; the probabilities say that count alone.

        MVDR needs a covariance with something on its diagonal: regularise it first.
        """
        starts = range(0, max(len(covariance), 1), _SCENES)
        return Estimate.join(
            [
                self._locate(covariance[start : start + _SCENES], count[start : start + _SCENES])
                for start in starts
            ]
        )

    def _locate(self, covariance: FactoredCovariance, count: Tensor) -> Estimate:
        receiver = self.receiver
        if self.spectrum == "music":
            points = _music(receiver, covariance, count)
        else:
            points = _capon_peaks(receiver, covariance)
        return placed(points.double(), count, receiver.view.sources_max)


def _music(receiver: ReceiverModel, covariance: FactoredCovariance, count: Tensor) -> Tensor:
    """Points (B, K_MAX, 3) of the signal subspace's sources."""
    basis = covariance.signal_subspace(count)[..., : receiver.view.sources_max]
    if receiver.is_compiled(count.device):
        # Not at the top: Numba is slow to import, and may be missing.
        from risexp.estimation.compiled import music_points

        return music_points(receiver, basis.to(torch.complex64), count)
    grid = search_grid(receiver.panel, receiver.view, count.device)
    return recursive_music(receiver, grid, basis.to(torch.complex64), count)


def _capon_peaks(receiver: ReceiverModel, covariance: FactoredCovariance) -> Tensor:
    """Points (B, K_MAX, 3) of the highest peaks of the MVDR spectrum."""
    columns = covariance.whitening().mH.to(torch.complex64)
    grid = search_grid(receiver.panel, receiver.view, columns.device)
    starts = highest_peaks(grid, grid.energies(columns.mH), receiver.view.sources_max + _SPARE)
    tried = starts.shape[1]
    energy = torch.view_as_real(columns).double().square().sum((-3, -2, -1))
    equations = Equations(
        None, columns.repeat_interleave(tried, dim=0), energy.repeat_interleave(tried)
    )
    peaks = refine(receiver, equations, starts.reshape(-1, 1, 3), _SETTLED * equations.energy)
    explained = (equations.energy - peaks.misfit).view(-1, tried)
    points = peaks.points.view(-1, tried, 3)
    best = distinct(grid, points, explained, receiver.view.sources_max)
    peaks_kept = points.gather(1, best.unsqueeze(-1).expand(-1, -1, 3))
    # A view of a few points has no more peaks than those: the last one stands for the rest.
    missing = receiver.view.sources_max - peaks_kept.shape[1]
    return torch.cat([peaks_kept, peaks_kept[:, -1:].expand(-1, missing, -1)], dim=1)


def placed(points: Tensor, count: Tensor, most: int) -> Estimate:
    """An estimate from points (B, S, 3), of which each scene keeps its count."""
    absent = torch.arange(points.shape[1], device=count.device) >= count.unsqueeze(-1)
    phi, theta = angles(points[..., 0], points[..., 1])
    slots = torch.stack([phi, theta, points[..., 2].reciprocal()])
    certain = torch.nn.functional.one_hot(count.clamp(1, most) - 1, most).double()
    return Estimate(count, certain, *slots.masked_fill(absent, torch.nan))
