"""The generator: scenes drawn a block at a time, on any device, from streams of their own."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from risexp.config.measurement import DataConfig, PhysicsConfig
from risexp.data.frames import Frames, Scenes, Truth
from risexp.data.streams import BLOCK, Split, block_generator
from risexp.errors import ConfigInvalid
from risexp.physics.codes import codebook
from risexp.physics.geometry import Panel, direction_cosines
from risexp.physics.signals import (
    draw_symbols,
    line_of_sight,
    path_amplitude,
    received,
    rician_channel,
)
from risexp.physics.steering import steering_vector

_PLACEMENT_ROUNDS = 1000


def panel_of(physics: PhysicsConfig) -> Panel:
    """The panel a configuration describes."""
    return Panel(
        elements_h=physics.elements_h,
        elements_v=physics.elements_v,
        spacing_m=physics.spacing_wavelengths * physics.wavelength_m,
        wavelength_m=physics.wavelength_m,
        wavefront=physics.wavefront,
    )


def codes_of(physics: PhysicsConfig) -> Tensor:
    """The codes a configuration describes, (L, N) complex64."""
    codes = codebook(
        physics.codebook,
        panel_of(physics),
        physics.snapshots,
        pool=physics.pool,
        phase_bits=physics.phase_bits,
        seed=physics.codebook_seed,
    )
    independent = int(torch.linalg.matrix_rank(codes.to(torch.complex128), rtol=1e-6))
    if physics.symbols == "frame" and physics.antennas * independent < physics.elements:
        raise ConfigInvalid(
            f"the codebook {physics.codebook} at physics.phase_bits = {physics.phase_bits} holds "
            f"{independent} independent codes, {physics.antennas * independent} equations for "
            f"{physics.elements} elements: raise physics.phase_bits, snapshots or antennas"
        )
    return codes


def source_steering(panel: Panel, truth: Truth) -> Tensor:
    """Steering vectors of the true sources, (B, K_MAX, N) complex64; absent sources are zero."""
    present = truth.present
    phi = torch.where(present, truth.phi_rad, 0.0)
    theta = torch.where(present, truth.theta_rad, 0.0)
    rho = torch.where(present, truth.range_m, 1.0).reciprocal()
    u, v = direction_cosines(phi, theta)
    return steering_vector(panel, u.float(), v.float(), rho.float()) * present.unsqueeze(-1)


def source_snr_db(panel: Panel, scenes: Scenes) -> Tensor:
    """SNR of each source alone, (B, K_MAX) dB: its clean power over the noise power; absent NaN."""
    frames, truth = scenes.frames, scenes.truth
    steering = source_steering(panel, truth)
    power = torch.stack(
        [
            received(frames.channel, frames.codes, truth.gains[..., k, None] * steering[:, k, None])
            .abs()
            .square()
            .mean((-2, -1))
            for k in range(steering.shape[1])
        ],
        dim=-1,
    )
    decibel = 10.0 * (power / truth.noise_power.unsqueeze(-1)).clamp(min=1e-30).log10()
    return torch.where(truth.present, decibel, torch.nan)


@dataclass(frozen=True)
class SceneGenerator:
    """Draws the scenes of one configuration; the same (seed, split, index) gives the same bits."""

    physics: PhysicsConfig
    data: DataConfig
    device: torch.device | str = "cpu"

    @cached_property
    def panel(self) -> Panel:
        """The panel the scenes are seen with."""
        return panel_of(self.physics)

    @cached_property
    def codes(self) -> Tensor:
        """The codes all scenes share, (L, N)."""
        return codes_of(self.physics).to(self.device)

    def scenes(self, split: Split, start: int, count: int) -> Scenes:
        """Scenes start .. start + count - 1 of a split, across blocks."""
        stop = start + count
        last = max(-(-stop // BLOCK), start // BLOCK + 1)
        parts = [
            self.block(split, block)[max(start - block * BLOCK, 0) : stop - block * BLOCK]
            for block in range(start // BLOCK, last)
        ]
        return Scenes.join(parts)

    def batches(self, split: Split, size: int, start: int = 0) -> Iterator[Scenes]:
        """An endless walk through a split in batches, each block computed once."""
        held: list[Scenes] = []
        block, skip = divmod(start, BLOCK)
        while True:
            while sum(map(len, held)) < size:
                held.append(self.block(split, block)[skip:])
                block, skip = block + 1, 0
            ready = Scenes.join(held)
            yield ready[:size]
            held = [ready[size:]] if len(ready) > size else []

    def block(self, split: Split, block: int) -> Scenes:
        """All 256 scenes of one block; always the whole, so that no bit depends on the request."""
        generator = block_generator(self.data.seed, split, block, self.device)
        count, positions = self._place(generator)
        phi, theta, range_m = positions
        most = self.data.sources_max
        present = torch.arange(most, device=self.device) < count.unsqueeze(-1)
        snr_db = self._uniform(generator, self.data.snr_db, (BLOCK,)).float()
        channel = self._channel(generator)
        held = 1 if self.physics.symbols == "frame" else self.physics.snapshots
        symbols = draw_symbols(self.physics.power, (BLOCK, held, most), generator)
        amplitude = path_amplitude(self.physics.power, range_m, self.physics.wavelength_m)
        symbols, amplitude = symbols * present.unsqueeze(-2), (amplitude * present).float()
        steering = self._steering(phi, theta, range_m)
        field = (amplitude.unsqueeze(-2) * symbols) @ steering
        clean = received(channel, self.codes, field)
        noise_power = clean.abs().square().mean((-2, -1)) * torch.pow(10.0, -snr_db / 10.0)
        noise = noise_power.sqrt()[:, None, None] * self._normal(generator, tuple(clean.shape))
        truth = Truth(
            count=count,
            phi_rad=phi.where(present, torch.nan),
            theta_rad=theta.where(present, torch.nan),
            range_m=range_m.where(present, torch.nan),
            symbols=symbols,
            amplitude=amplitude,
            noise_power=noise_power,
        )
        return Scenes(Frames(clean + noise, channel, self.codes, snr_db), truth)

    def counts(self, split: Split, block: int) -> Tensor:
        """The true counts of a block, (256,), without the rest of it: they are drawn first."""
        return self._count(block_generator(self.data.seed, split, block, self.device))

    def _count(self, generator: torch.Generator) -> Tensor:
        most = self.data.sources_max
        return torch.randint(1, most + 1, (BLOCK,), generator=generator, device=self.device)

    def _steering(self, phi: Tensor, theta: Tensor, range_m: Tensor) -> Tensor:
        u, v = direction_cosines(phi, theta)
        return steering_vector(self.panel, u.float(), v.float(), range_m.reciprocal().float())

    def _place(self, generator: torch.Generator) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
        """Count, and positions as far apart as the configuration demands."""
        most = self.data.sources_max
        count = self._count(generator)
        range_m = self._uniform(generator, self.data.range_m, (BLOCK, most))
        phi, theta = self._directions(generator)
        if self.data.separation_deg > 0.0:
            least = math.cos(math.radians(self.data.separation_deg))
            for _ in range(_PLACEMENT_ROUNDS):
                close = _too_close(phi, theta, count, least)
                if not bool(close.any()):
                    break
                again_phi, again_theta = self._directions(generator)
                phi = torch.where(close[:, None], again_phi, phi)
                theta = torch.where(close[:, None], again_theta, theta)
            else:
                raise ConfigInvalid(
                    f"data.separation_deg = {self.data.separation_deg:g} leaves no room for "
                    f"{most} sources in the field of view: lower it or data.sources_max"
                )
        return count, (phi, theta, range_m)

    def _directions(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        shape = (BLOCK, self.data.sources_max)
        phi = self._uniform(generator, self.data.phi_deg, shape).deg2rad()
        return phi, self._uniform(generator, self.data.theta_deg, shape).deg2rad()

    def _channel(self, generator: torch.Generator) -> Tensor:
        physics = self.physics
        factor_db = self._uniform(generator, physics.rician_db, (BLOCK,)).float()
        limits = (-physics.station_deg, physics.station_deg)
        station_rad = self._uniform(generator, limits, (2, BLOCK)).deg2rad().float()
        station, panel_side = line_of_sight(
            self.panel, physics.antennas, station_rad[0], station_rad[1], physics.station_range_m
        )
        scattered = self._normal(generator, (BLOCK, physics.antennas, physics.elements))
        return rician_channel(scattered, station, panel_side, torch.pow(10.0, factor_db / 10.0))

    def _uniform(
        self, generator: torch.Generator, bounds: tuple[float, float], shape: tuple[int, ...]
    ) -> Tensor:
        unit = torch.rand(shape, dtype=torch.float64, generator=generator, device=self.device)
        return bounds[0] + (bounds[1] - bounds[0]) * unit

    def _normal(self, generator: torch.Generator, shape: tuple[int, ...]) -> Tensor:
        return torch.randn(shape, dtype=torch.complex64, generator=generator, device=self.device)


def _too_close(phi: Tensor, theta: Tensor, count: Tensor, least_cosine: float) -> Tensor:
    """(B,) bool: two present sources of the scene see less than the demanded angle between them."""
    u, v = direction_cosines(phi, theta)
    unit = torch.stack([u, v, phi.cos() * theta.cos()], dim=-1)
    present = torch.arange(phi.shape[1], device=phi.device) < count.unsqueeze(-1)
    pairs = present.unsqueeze(-1) & present.unsqueeze(-2)
    apart = torch.ones(phi.shape[1], phi.shape[1], device=phi.device, dtype=torch.bool).triu(1)
    return ((unit @ unit.mT > least_cosine) & pairs & apart).any((-2, -1))
