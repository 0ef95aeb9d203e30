"""Search grid over the field of view, fine enough that every source has a point on its slope."""

import math
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import torch
from torch import Tensor

from risexp.estimation.receiver_model import View
from risexp.physics.geometry import Panel
from risexp.physics.steering import steering_vector

_POINTS_A_BEAM = 2.0
"""Grid points along an axis for each beam width lambda / aperture."""
_TURN_RAD = 1.15
"""Spread of phase over the panel, between two neighbouring planes of rho."""

_DISTINCT = 0.3
"""Points closer than this share of the grid's steps are one peak."""


@dataclass(frozen=True)
class Grid:
    """Points on planes of constant rho, and the panel's response to each."""

    points: Tensor
    """(R, V, U, 3) float32: u, v, rho."""
    inside: Tensor
    """(R, V, U) bool: not beyond the view's azimuth."""
    panel: Panel
    view: View

    @property
    def shape(self) -> tuple[int, int, int]:
        """Planes, rows and columns."""
        planes, rows, columns = self.inside.shape
        return planes, rows, columns

    @cached_property
    def prior(self) -> Tensor:
        """Log probability of each candidate, where ranges and angles are uniform, (G,) float64."""
        direction = self.view.log_direction_density(self.candidates.double())
        rho = self.points[:, 0, 0, 2].double()
        edges = torch.cat([rho[:1], 0.5 * (rho[1:] + rho[:-1]), rho[-1:]]).reciprocal()
        # Between its edges a plane stands for very different ranges: their extent is what counts.
        depth = (edges[:-1] - edges[1:]).clamp(min=1e-9).log()
        laid = depth[:, None, None].expand(self.shape)[self.inside]
        return (direction + laid).log_softmax(-1)

    def energies(self, rows: Tensor) -> Tensor:
        """Sum over k of |row_k a|^2 at every candidate a, for rows (B, k, N): (B, G)."""
        return summed_energy(self.responses(rows))

    def responses(self, rows: Tensor) -> Tensor:
        """row_k a at every candidate a, for rows (B, k, N): (B, k, G).

        A parabolic wave is a product of one along h and one along v, so two short products replace
        a long one.
        """
        if self.panel.wavefront == "parabolic":
            return self._separably(rows)
        batch, count, elements = rows.shape
        seen = rows.reshape(batch * count, elements) @ self.steering
        return seen.view(batch, count, seen.shape[-1])

    def _separably(self, rows: Tensor) -> Tensor:
        across, upward = self._factors
        batch, count = rows.shape[:2]
        planes, high, wide = self.shape
        sheet = rows.reshape(batch * count * self.panel.elements_v, self.panel.elements_h)
        seen = sheet @ across.movedim(0, 1).flatten(1)
        seen = seen.view(batch * count, self.panel.elements_v, planes, wide).permute(2, 0, 3, 1)
        laid = seen.reshape(planes, batch * count * wide, self.panel.elements_v) @ upward
        laid = laid.view(planes, batch * count, wide, high).permute(1, 0, 3, 2)
        return laid.reshape(batch, count, planes * high * wide).index_select(-1, self.places)

    @cached_property
    def places(self) -> Tensor:
        """The places of the candidates among all points, (G,) int64."""
        return self.inside.flatten().nonzero().squeeze(-1)

    @cached_property
    def _factors(self) -> tuple[Tensor, Tensor]:
        """Waves along h (R, elements_h, U) and along v (R, elements_v, V); their product is a."""
        rho, v, u = self.points[:, 0, 0, 2], self.points[0, :, 0, 1], self.points[0, 0, :, 0]
        panel = self.panel
        return (
            _line(replace(panel, elements_v=1), rho, u, torch.zeros_like(u)),
            _line(replace(panel, elements_h=1), rho, torch.zeros_like(v), v),
        )

    @cached_property
    def steering(self) -> Tensor:
        """Responses to all points inside, (N, G) complex64."""
        u, v, rho = self.candidates.unbind(-1)
        return steering_vector(self.panel, u, v, rho).mT.contiguous()

    @cached_property
    def candidates(self) -> Tensor:
        """The points inside, (G, 3)."""
        return self.points[self.inside]

    def unfold(self, values: Tensor, outside: float) -> Tensor:
        """Values of the points inside (B, G), laid on the whole grid (B, R, V, U)."""
        laid = values.new_full((len(values), self.inside.numel()), outside)
        return laid.index_copy(1, self.places, values).view(len(values), *self.shape)

    @property
    def steps(self) -> Tensor:
        """Distances of neighbours along u, v and rho, (3,) float32."""
        ends = self.points[-1, -1, -1] - self.points[0, 0, 0]
        planes, rows, columns = self.shape
        gaps = torch.tensor([columns - 1, rows - 1, planes - 1]).clamp(min=1).to(ends)
        return (ends / gaps).clamp(min=1e-6)


@lru_cache(maxsize=8)
def search_grid(panel: Panel, view: View, device: torch.device) -> Grid:
    """The grid for a panel's resolution in this view; cached."""
    wavelengths = panel.spacing_m / panel.wavelength_m
    steps = (
        _axis_step(panel.elements_h * wavelengths),
        _axis_step(panel.elements_v * wavelengths),
        _plane_step(panel),
    )
    # The cached grid must be usable under autograd, also if the first caller was in inference mode.
    with torch.inference_mode(mode=False):
        u, v, rho = (
            _axis(limits, step, device)
            for limits, step in zip((view.u, view.v, view.rho), steps, strict=True)
        )
        planes, rows, columns = torch.meshgrid(rho, v, u, indexing="ij")
        points = torch.stack([columns, rows, planes], dim=-1)
        inside = (view.clamp(points) - points)[..., 0].abs() <= steps[0]
        return Grid(points, inside, panel, view)


def _line(panel: Panel, rho: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """Responses of one row or column of elements, (R, elements, directions)."""
    shape = len(rho), len(u)
    wave = steering_vector(panel, u.expand(shape), v.expand(shape), rho.unsqueeze(-1).expand(shape))
    return wave.mT.contiguous()


def summed_energy(responses: Tensor) -> Tensor:
    """|x|^2 over the rows, (B, k, G) complex to (B, G).

    Rows first, parts after: the other order walks through memory in strides, ten times as slowly.
    """
    parts = torch.view_as_real(responses).square().sum(1)
    return parts[..., 0] + parts[..., 1]


def _axis_step(aperture: float) -> float:
    return 1.0 / (_POINTS_A_BEAM * aperture)


def _plane_step(panel: Panel) -> float:
    """A plane's phase is k0 rho p^2 / 2: its spread over the panel decides how many are needed."""
    h_m, v_m = panel.positions()
    spread = float((h_m.square() + v_m.square()).std(correction=0))
    return _TURN_RAD / (0.5 * panel.wavenumber * max(spread, 1e-9))


def _axis(limits: tuple[float, float], step: float, device: torch.device) -> Tensor:
    low, high = limits
    if high - low <= 1e-9:
        return torch.tensor([low], dtype=torch.float32, device=device)
    count = math.ceil((high - low) / step) + 1
    return torch.linspace(low, high, count, dtype=torch.float32, device=device)


def highest_peaks(grid: Grid, heights: Tensor, count: int) -> Tensor:
    """The highest local maxima of spectra over the grid's candidates.

    `heights` are (B, G); the answer is (B, count, 3) points. Where there are fewer maxima, the
    highest other points follow.
    """
    laid = grid.unfold(heights, -torch.inf)
    flat, top = laid.flatten(1), _highest_around(laid).flatten(1)
    ranked = torch.where(flat == top, flat, flat - 2.0 * _span(heights))
    best = ranked.topk(min(count, flat.shape[1]), dim=-1).indices
    return grid.points.flatten(0, 2)[best]


def distinct(grid: Grid, points: Tensor, heights: Tensor, count: int) -> Tensor:
    """Which of refined points (B, T, 3) to keep: the highest, each peak once, (B, count) indices.

    Where there are fewer peaks than `count`, the next points of a peak already taken follow.
    """
    steps = grid.steps.to(points)
    gaps = (points.unsqueeze(2) - points.unsqueeze(1)) / steps
    same = gaps.abs().amax(-1) < _DISTINCT
    left, chosen = heights.clone(), []
    for _ in range(min(count, points.shape[1])):
        best = left.argmax(-1, keepdim=True)
        chosen.append(best)
        near = same.gather(1, best.unsqueeze(-1).expand(-1, -1, same.shape[-1])).squeeze(1)
        left = left - near.to(left) * 2.0 * _span(heights)
        left = left.scatter(1, best, -torch.inf)
    return torch.cat(chosen, dim=-1)


def _highest_around(laid: Tensor) -> Tensor:
    """The highest of each point (B, R, V, U) and its 26 neighbours, one axis after the other."""
    for axis in (1, 2, 3):
        size = laid.shape[axis]
        if size > 1:
            pairs = torch.maximum(laid.narrow(axis, 0, size - 1), laid.narrow(axis, 1, size - 1))
            first, last = laid.narrow(axis, 0, 1), laid.narrow(axis, size - 1, 1)
            lower, upper = torch.cat([first, pairs], axis), torch.cat([pairs, last], axis)
            laid = torch.maximum(lower, upper)
    return laid


def _span(heights: Tensor) -> Tensor:
    """More than any difference within a scene's heights, (B, 1)."""
    return 1.0 + heights.amax(-1, keepdim=True) - heights.amin(-1, keepdim=True)
