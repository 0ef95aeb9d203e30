"""Where sources can stand, in the coordinates estimators work in: points (u, v, rho)."""

import math
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from risexp.config.sections import DataConfig
from risexp.physics.geometry import angles

Span = tuple[float, float]

_EDGE = 1e-5
"""How far inside a limit a coordinate counts as lying on it; above float32's rounding."""


@dataclass(frozen=True)
class View:
    """The field of view: limits of azimuth, elevation and range, and the largest count."""

    phi_rad: Span
    theta_rad: Span
    range_m: Span
    sources_max: int

    @classmethod
    def of(cls, data: DataConfig) -> Self:
        """The field from which a configuration draws its sources."""
        phi, theta = (
            (math.radians(low), math.radians(high)) for low, high in (data.phi_deg, data.theta_deg)
        )
        return cls(phi, theta, data.range_m, data.sources_max)

    @property
    def rho(self) -> Span:
        """Limits of the inverse range, 1/m."""
        return 1.0 / self.range_m[1], 1.0 / self.range_m[0]

    @property
    def v(self) -> Span:
        """Limits of the cosine along v."""
        return math.sin(self.theta_rad[0]), math.sin(self.theta_rad[1])

    @property
    def u(self) -> Span:
        """Limits of the cosine along h, over all elevations."""
        low, high = self.theta_rad
        across = [math.cos(low), math.cos(high), math.cos(min(max(0.0, low), high))]
        ends = [math.sin(phi) * cosine for phi in self.phi_rad for cosine in across]
        return min(ends), max(ends)

    @property
    def extent(self) -> tuple[float, float, float]:
        """Widths along u, v and rho, none of them zero."""
        widths = self.u[1] - self.u[0], self.v[1] - self.v[0], self.rho[1] - self.rho[0]
        return max(widths[0], _EDGE), max(widths[1], _EDGE), max(widths[2], _EDGE)

    def clamp(self, points: Tensor) -> Tensor:
        """The nearest points (..., 3) inside, coordinate by coordinate.

        The limits of u shrink as the direction rises.
        """
        u, v, rho = points.unbind(-1)
        v = v.clamp(*self.v)
        across = (1.0 - v.square()).sqrt()
        left, right = (math.sin(phi) for phi in self.phi_rad)
        u = u.maximum(left * across).minimum(right * across)
        return torch.stack([u, v, rho.clamp(*self.rho)], dim=-1)

    def held(self, points: Tensor, push: Tensor) -> Tensor:
        """Which coordinates (..., 3) lie on a limit and are pushed against it."""
        side = push.sign().to(points.dtype)
        return side * (self.clamp(points + 2.0 * _EDGE * side) - points) < _EDGE * side.abs()

    def log_direction_density(self, points: Tensor) -> Tensor:
        """Log density over (u, v) of a direction uniform in both angles, (...)."""
        phi, theta = angles(points[..., 0], points[..., 1])
        area = max(self.phi_rad[1] - self.phi_rad[0], _EDGE) * max(
            self.theta_rad[1] - self.theta_rad[0], _EDGE
        )
        return -math.log(area) - (phi.cos() * theta.cos().square()).clamp(min=1e-3).log()
