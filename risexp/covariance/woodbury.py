"""|a|^2 - |B a|^2 over grids of steering vectors: fast where it can be, exact where it must be."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

CANCELLED = 0.03
"""Below this share of |a|^2 a single-precision difference has lost more digits than we allow."""
_MANY = 0.02
"""Share of a chunk's points beyond which all of them are taken in double precision."""
_CHUNK = 256
"""Columns handled at once: what stays in cache, and what bounds the memory."""


def unexplained(explained: Tensor, steering: Tensor) -> Tensor:
    """|a|^2 - |B a|^2, (B, G) float64.

    Args:
        explained: B, (B, q, N) complex128.
        steering: a, (N, G) or (B, N, G) complex.
    """
    rows = Rows.of(explained) if steering.dtype == torch.complex64 else None
    parts = torch.split(steering, _CHUNK, dim=-1)
    return torch.cat([_difference(explained, rows, part) for part in parts], dim=-1)


@dataclass(frozen=True)
class Rows:
    """B in single precision, as the three real factors of a complex product."""

    real: Tensor
    imag: Tensor
    both: Tensor

    @classmethod
    def of(cls, explained: Tensor) -> Self:
        """Real part, imaginary part and their sum."""
        real, imag = explained.real.float().contiguous(), explained.imag.float().contiguous()
        return cls(real, imag, real + imag)

    def energy(self, steering: Tensor) -> Tensor:
        """|B a|^2 by three real products in place of a complex one's four."""
        first, second = _apply(self.real, steering.real), _apply(self.imag, steering.imag)
        third = _apply(self.both, steering.real + steering.imag)
        return ((first - second).square() + (third - first - second).square()).sum(-2)


def _difference(explained: Tensor, rows: Rows | None, steering: Tensor) -> Tensor:
    """In single precision where that holds, again in double for the few points where it does not.

    Where many do not, taking all of them in double costs less than picking them out.
    """
    wide = steering.to(explained.dtype)
    if rows is None:
        return _energy(wide) - _energy(_apply(explained, wide))
    lengths = _energy(steering)
    gap = lengths - rows.energy(steering)
    scene, point = (gap < CANCELLED * lengths).nonzero(as_tuple=True)
    if len(scene) > _MANY * gap.numel():
        return _energy(wide) - _energy(_apply(explained, wide))
    picked = wide.mT[point] if wide.ndim == 2 else wide.mT[scene, point]
    inside = torch.einsum("pqn,pn->pq", explained[scene], picked)
    exact = picked.abs().square().sum(-1) - inside.abs().square().sum(-1)
    return gap.double().index_put((scene, point), exact)


def _energy(columns: Tensor) -> Tensor:
    """Squared length of every column, over the second last axis."""
    return torch.view_as_real(columns).square().sum((-3, -1))


def _apply(rows: Tensor, columns: Tensor) -> Tensor:
    """(B, q, N) on (N, G) or (B, N, G); a shared grid is met by all scenes' rows in one product."""
    if columns.ndim == 3:
        return rows @ columns
    batch, size, elements = rows.shape
    product = rows.reshape(batch * size, elements) @ columns
    return product.view(batch, size, columns.shape[-1])
