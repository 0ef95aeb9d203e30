"""What a localiser knows of its receiver: panel, field of view, laws, and the noise of a frame."""

import math
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from risexp.config.measurement import DataConfig
from risexp.config.run import RunConfig
from risexp.data.frames import Frames
from risexp.data.scenes import panel_of
from risexp.errors import DataInvalid
from risexp.estimation.backend import Backend, backend_of
from risexp.physics.geometry import Panel, angles
from risexp.physics.signals import PowerLaw, Symbols, path_amplitude

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

    @property
    def area(self) -> float:
        """Product of the widths in azimuth and elevation, rad^2."""
        phi, theta = (high - low for low, high in (self.phi_rad, self.theta_rad))
        return max(phi, _EDGE) * max(theta, _EDGE)

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
        return -math.log(self.area) - (phi.cos() * theta.cos().square()).clamp(min=1e-3).log()


@dataclass(frozen=True)
class ReceiverModel:
    """Geometry, field of view, and how symbols and powers are drawn; nothing about one scene."""

    panel: Panel
    view: View
    symbols: Symbols
    power: PowerLaw
    backend: Backend = "torch"
    """What searches on a CPU."""

    @classmethod
    def of(cls, config: RunConfig) -> Self:
        """What a configuration lets its receiver know."""
        physics, backend = config.physics, backend_of(config.localisation.backend)
        return cls(panel_of(physics), View.of(config.data), physics.symbols, physics.power, backend)

    def is_compiled(self, device: torch.device) -> bool:
        """Whether compiled loops search the frames of a device; they know held symbols alone."""
        return self.backend == "compiled" and device.type == "cpu" and self.symbols == "frame"

    def mean_power(self, range_m: Tensor) -> Tensor:
        """Mean power of a source at a range."""
        return path_amplitude(self.power, range_m, self.panel.wavelength_m).square()


def noise_power(frames: Frames, symbols: Symbols) -> Tensor:
    """sigma^2, (B,) float64; at least a trace of the frame's own power.

    With an SNR it is mean |y|^2 / (1 + SNR). Without, it is the energy of y outside the span of
    G = [H diag(c_l)]_l, of which no field on the panel explains anything; that takes L M > N.
    """
    if frames.snr_db is None and symbols == "snapshot":
        message = "fresh symbols leave no measurement free of signal: give snr_db with the frames"
        raise DataInvalid(message)
    samples = frames.y.shape[-2] * frames.y.shape[-1]
    energy = torch.view_as_real(frames.y).double().square().sum((-3, -2, -1))
    if frames.snr_db is not None:
        power = energy / (samples * (1.0 + torch.pow(10.0, frames.snr_db.double() / 10.0)))
    elif samples > frames.channel.shape[-1]:
        power = _outside(frames) / (samples - frames.channel.shape[-1])
    else:
        message = (
            f"{samples} samples of {frames.channel.shape[-1]} elements leave no noise to measure: "
            "give snr_db with the frames"
        )
        raise DataInvalid(message)
    return power.maximum(1e-9 * energy / samples).clamp(min=1e-30)


def snr_db_of(frames: Frames, symbols: Symbols) -> Tensor:
    """The SNR that came with the frames, or the one their noise power stands for, (B,)."""
    if frames.snr_db is not None:
        return frames.snr_db
    power = torch.view_as_real(frames.y).double().square().sum(-1).mean((-2, -1))
    noise = noise_power(frames, symbols)
    return (10.0 * (power / noise - 1.0).clamp(min=1e-3).log10()).to(frames.y.real.dtype)


def _outside(frames: Frames) -> Tensor:
    """|y|^2 - |projection of y on the span of G|^2, from the normal equations."""
    channel, codes = (x.to(torch.complex128) for x in (frames.channel, frames.codes))
    y = frames.y.to(torch.complex128)
    gram = (channel.mH @ channel) * (codes.mH @ codes)
    matched = (codes.conj() * (y @ channel.conj())).sum(-2)
    mean = gram.diagonal(dim1=-2, dim2=-1).real.mean(-1)[:, None, None]
    eye = torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
    root = torch.linalg.cholesky_ex(gram + (1e-12 * mean + 1e-30) * eye).L
    inside = torch.linalg.solve_triangular(root, matched.unsqueeze(-1), upper=False)
    energy = torch.view_as_real(y).square().sum((-3, -2, -1))
    return energy - torch.view_as_real(inside).square().sum((-3, -2, -1))
