"""Phase codes of the panel, one a snapshot."""

import math
from typing import Literal

import torch
from torch import Tensor

from risexp.physics.geometry import Panel

Codebook = Literal["dft", "balanced", "hadamard", "random"]


def codebook(
    kind: Codebook,
    panel: Panel,
    snapshots: int,
    *,
    pool: tuple[int, int],
    phase_bits: int | None,
    seed: int = 0,
) -> Tensor:
    """Unit-modulus codes (L, N) complex64.

    `dft` takes every (pool / L)-th code of kron(F_v[:, j], F_h[:, i]) with i fastest, where
    F[n, i] = exp(j 2 pi i (n - centre) / elements); `balanced` walks the same pool so that every
    frequency of either axis is met equally often; `hadamard` takes the first L Walsh rows; `random`
    draws phases from `seed`. The `pool` is the number of DFT frequencies along h and v; without
    `phase_bits`, phases are continuous.
    """
    phases = _phases(kind, panel, snapshots, pool, seed)
    if phase_bits is not None:
        step = 2.0 * math.pi / 2**phase_bits
        # The nudge keeps ties from being decided by the last bit of a sine.
        phases = (phases / step + 0.5 + 1e-9).floor() * step
    return torch.polar(torch.ones_like(phases), phases).to(torch.complex64)


def _phases(
    kind: Codebook, panel: Panel, snapshots: int, pool: tuple[int, int], seed: int
) -> Tensor:
    """Continuous phases, (L, N) float64 in rad."""
    match kind:
        case "dft":
            return _dft_phases(panel, _strided(snapshots, pool))
        case "balanced":
            return _dft_phases(panel, _balanced(snapshots, pool))
        case "hadamard":
            return _hadamard_phases(panel, snapshots)
        case "random":
            generator = torch.Generator().manual_seed(seed)
            shape = (snapshots, panel.elements)
            return 2.0 * math.pi * torch.rand(shape, dtype=torch.float64, generator=generator)


def _strided(snapshots: int, pool: tuple[int, int]) -> tuple[Tensor, Tensor]:
    index = torch.arange(snapshots) * (pool[0] * pool[1]) // snapshots
    return index % pool[0], index // pool[0]


def _balanced(snapshots: int, pool: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Even steps along v; along h steps near the golden section that meet every frequency."""
    index = torch.arange(snapshots)
    golden = (math.sqrt(5.0) - 1.0) / 2.0 * pool[0]
    coprime = (step for step in range(1, pool[0] + 1) if math.gcd(step, pool[0]) == 1)
    step = min(coprime, key=lambda number: abs(number - golden))
    return index * step % pool[0], index * pool[1] // snapshots


def _dft_phases(panel: Panel, frequencies: tuple[Tensor, Tensor]) -> Tensor:
    """(L, N): 2 pi (i h / elements_h + j v / elements_v) with h, v counted from the centre."""
    h, v = (offset / panel.spacing_m for offset in panel.positions())
    i, j = (frequency.double().unsqueeze(-1) for frequency in frequencies)
    return 2.0 * math.pi * (i * h / panel.elements_h + j * v / panel.elements_v)


def _hadamard_phases(panel: Panel, snapshots: int) -> Tensor:
    """Phase 0 or pi by the parity of the bits that row and column numbers share."""
    shared = torch.arange(snapshots).unsqueeze(-1) & torch.arange(panel.elements)
    parity = torch.zeros_like(shared)
    while bool(shared.any()):
        parity, shared = parity ^ (shared & 1), shared >> 1
    return math.pi * parity.double()
