"""Counts by information criteria, on ideal data and on measured covariances.

Ideal data are x_l = A s_l + w_l with the panel seen directly, fresh Gaussian symbols of equal mean
power in every snapshot, and the noise 10 dB below a source at each element.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, get_args

import torch
from torch import Tensor

from risexp.config.run import RunConfig
from risexp.covariance.factored import FactoredCovariance
from risexp.covariance.sampled import Criterion, sampled_covariance
from risexp.data.frames import Frames
from risexp.data.scenes import panel_of, source_steering
from risexp.diagnostics.probe_data import drawn, scenes_at
from risexp.diagnostics.report import Rate, Table, confusion_table
from risexp.physics.signals import Symbols, path_amplitude

OrderRule = Callable[[Criterion, Tensor, int, int], Tensor]
"""Criterion, eigenvalues (B, p), snapshots and K_MAX to a count (B,)."""

CRITERIA: tuple[Criterion, ...] = get_args(Criterion)
SNAPSHOTS: Final = 256
"""Snapshots of ideal data, more than the default panel has elements."""
_NOISE: Final = 0.1
"""Noise power over the power of one source, at each element."""
_SCENES: Final = 32
"""Scenes computed at once, which bounds the memory."""


@dataclass(frozen=True)
class OrderCounts:
    """The counts of one criterion from one covariance."""

    criterion: Criterion
    spectrum: str
    """Name of the covariance whose eigenvalues are counted."""
    counts: Tensor
    """(levels, B) int64: K^ of the same scenes at every noise level."""
    truth: Tensor
    """(B,) int64: K."""

    @property
    def label(self) -> str:
        """Criterion and covariance."""
        return f"{self.criterion.upper()} {self.spectrum}"

    @property
    def hits(self) -> Tensor:
        """(levels, B) bool: K^ = K."""
        return self.counts == self.truth

    @property
    def rate(self) -> Rate:
        """K accuracy over all levels; a scene counts once, at however many levels."""
        return Rate.of(self.hits.double().mean(0))

    def confusion(self, most: int) -> Table:
        """Scenes of all levels by true and answered count."""
        truth = self.truth.expand_as(self.counts)
        label = f"{self.label}: scenes by true and answered count"
        return confusion_table(label, truth.flatten(), self.counts.flatten(), most)


def on_ideal_data(config: RunConfig, scenes: int, rule: OrderRule) -> tuple[OrderCounts, ...]:
    """Counts of orthogonal beams, then of the law's own sources, both seen directly."""
    most, truth = config.data.sources_max, drawn(config, scenes).truth
    steering = {
        "on ideal data": orthogonal_beams(config, truth.count),
        "on these sources seen directly": source_steering(panel_of(config.physics), truth),
    }
    spectra = {
        name: ideal_eigenvalues(vectors, far_power(config)) for name, vectors in steering.items()
    }
    return tuple(
        OrderCounts(criterion, name, rule(criterion, values, SNAPSHOTS, most)[None], truth.count)
        for name, values in spectra.items()
        for criterion in CRITERIA
    )


def on_scenes(
    config: RunConfig, scenes: int, levels: Sequence[float], rule: OrderRule
) -> tuple[OrderCounts, ...]:
    """Counts from every measured covariance that has more than one eigenvalue."""
    most, counts = config.data.sources_max, dict[tuple[str, Criterion], list[Tensor]]()
    truth = drawn(config, scenes).truth.count
    for level in levels:
        frames = scenes_at(config, level, scenes).frames
        measured = covariances(config.physics.symbols, frames, config.sampled.ridge)
        for name, covariance in measured.items():
            values = covariance.eigenvalues()
            for criterion in CRITERIA if values.shape[-1] > 1 else ():
                answer = rule(criterion, values, frames.y.shape[1], most)
                counts.setdefault((name, criterion), []).append(answer)
    return tuple(
        OrderCounts(criterion, name, torch.stack(answers), truth)
        for (name, criterion), answers in counts.items()
    )


def covariances(symbols: Symbols, frames: Frames, ridge: float) -> dict[str, FactoredCovariance]:
    """The measured covariances by name.

    `received` is the M x M covariance of y over the snapshots, `per_snapshot` the N x N sampled
    one, `joint` the N x N one of the single field under held symbols; fresh symbols have no such.
    """
    measured = frames.y, frames.channel, frames.codes, ridge
    by_name = {
        "received": FactoredCovariance.from_factor(frames.y.mT / frames.y.shape[1] ** 0.5),
        "per_snapshot": sampled_covariance("per_snapshot", *measured),
    }
    joint = {"joint": sampled_covariance("joint", *measured)} if symbols == "frame" else {}
    return by_name | joint


def effective_rank(eigenvalues: Tensor, eps: float = 1e-300) -> Tensor:
    """(tr R)^2 / |R|^2, (B,): the number of equal eigenvalues with the same spread of power."""
    values = eigenvalues.double()
    return values.sum(-1).square() / values.square().sum(-1).clamp(min=eps)


def ideal_eigenvalues(
    steering: Tensor, power: float, snapshots: int = SNAPSHOTS, seed: int = 0
) -> Tensor:
    """The min(N, L) eigenvalues of sampled covariances of ideal data, (B, .) float64.

    `steering` is A of each scene, (B, K_MAX, N) complex64 of unit length; absent sources are zero.
    `power` is the mean of each source.
    """
    generator = torch.Generator().manual_seed(seed)
    parts = torch.split(steering, _SCENES)
    return torch.cat([_eigenvalues(part, power, snapshots, generator) for part in parts])


def orthogonal_beams(config: RunConfig, count: Tensor) -> Tensor:
    """Orthogonal plane waves, K in each scene, (B, K_MAX, N) complex64."""
    elements, most = config.physics.elements, config.data.sources_max
    places = torch.arange(most) * (elements // most)
    turns = places.unsqueeze(-1) * torch.arange(elements) / elements
    waves = torch.polar(torch.full_like(turns, elements**-0.5), 2.0 * torch.pi * turns)
    present = torch.arange(most) < count.unsqueeze(-1)
    return waves * present.unsqueeze(-1)


def far_power(config: RunConfig) -> float:
    """Power of a source at the far end of the view.

    Ideal data are as quiet as measured ones can be, so that what underflows there underflows here.
    """
    physics, reach = config.physics, torch.tensor(config.data.range_m[1])
    return float(path_amplitude(physics.power, reach, physics.wavelength_m)) ** 2


def _eigenvalues(
    steering: Tensor, power: float, snapshots: int, generator: torch.Generator
) -> Tensor:
    scenes, sources, elements = steering.shape

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, dtype=torch.complex64, generator=generator)

    signal = normal(scenes, snapshots, sources) @ steering
    noise = (_NOISE / elements) ** 0.5 * normal(scenes, snapshots, elements)
    samples = (power / snapshots) ** 0.5 * (signal + noise)
    # X X^H and X^H X have the same eigenvalues: the narrow side is the factor's width.
    factor = samples if snapshots >= elements else samples.mT
    return FactoredCovariance.from_factor(factor).eigenvalues()
