"""Data on which an information criterion must count right, before it is asked about other data.

    x_l = A s_l + w_l

with the panel seen directly, fresh Gaussian symbols of equal mean power in every snapshot, and the
noise 10 dB below a source at each element.
"""

from typing import Final

import torch
from torch import Tensor

from risexp.config.run import RunConfig
from risexp.covariance.factored import FactoredCovariance
from risexp.physics.signals import path_amplitude

SNAPSHOTS: Final = 256
"""More than the default panel has elements."""
_NOISE: Final = 0.1
"""Power of the noise over that of one source, at each element."""
_SCENES: Final = 32
"""Scenes handled at once: what bounds the memory."""


def ideal_eigenvalues(
    steering: Tensor, power: float, snapshots: int = SNAPSHOTS, seed: int = 0
) -> Tensor:
    """The min(N, L) eigenvalues of sampled covariances of ideal data, (B, .) float64.

    Args:
        steering: A of each scene, (B, K_MAX, N) complex64 of unit length; absent sources are zero.
        power: Mean power of each source.
        snapshots: L.
        seed: Names the symbols and the noise.
    """
    generator = torch.Generator().manual_seed(seed)
    parts = torch.split(steering, _SCENES)
    return torch.cat([_eigenvalues(part, power, snapshots, generator) for part in parts])


def orthogonal_beams(config: RunConfig, count: Tensor) -> Tensor:
    """Plane waves no panel could confuse, as many as a scene counts, (B, K_MAX, N) complex64."""
    elements, most = config.physics.elements, config.data.sources_max
    places = torch.arange(most) * (elements // most)
    turns = places.unsqueeze(-1) * torch.arange(elements) / elements
    waves = torch.polar(torch.full_like(turns, elements**-0.5), 2.0 * torch.pi * turns)
    present = torch.arange(most) < count.unsqueeze(-1)
    return waves * present.unsqueeze(-1)


def far_power(config: RunConfig) -> float:
    """Power of a source at the far end of the view.

    Ideal data are as quiet as measured ones can be: what underflows there should do so here.
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
