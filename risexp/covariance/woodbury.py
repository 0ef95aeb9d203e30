"""|a|^2 - |B a|^2 over grids of steering vectors: fast where it can be, exact where it must be."""

import torch
from torch import Tensor

CANCELLED = 0.03
"""Below this share of |a|^2 a single-precision difference has lost more digits than we allow."""
_MANY = 0.02
"""Share of points beyond which taking all of them again costs less than picking them out."""


def unexplained(explained: Tensor, steering: Tensor) -> Tensor:
    """|a|^2 - |B a|^2, (B, G) float64.

    Args:
        explained: B, (B, q, N) complex128.
        steering: a, (N, G) or (B, N, G) complex; few enough columns to stay in cache.
    """
    lengths = _energy(steering)
    if steering.dtype == torch.complex128:
        return lengths - _energy(_apply(explained, steering))
    fast = _by_three_products(explained.to(steering.dtype), steering)
    cancelled = fast < CANCELLED * lengths
    found = int(cancelled.sum())
    if found > _MANY * fast.numel():
        wide = steering.to(explained.dtype)
        return _energy(wide) - _energy(_apply(explained, wide))
    gap = fast.double()
    return _taken_again(gap, explained, steering, cancelled) if found else gap


def _by_three_products(explained: Tensor, steering: Tensor) -> Tensor:
    """In single precision, by three real products in place of a complex one's four."""
    real, imag = explained.real.contiguous(), explained.imag.contiguous()
    first, second = _apply(real, steering.real), _apply(imag, steering.imag)
    third = _apply(real + imag, steering.real + steering.imag)
    inside = (first - second).square() + (third - first - second).square()
    return _energy(steering) - inside.sum(-2)


def _taken_again(gap: Tensor, explained: Tensor, steering: Tensor, cancelled: Tensor) -> Tensor:
    """The few points that have cancelled, scene by scene, in double precision."""
    rows = []
    for scene, points in enumerate(cancelled):
        (where,) = points.nonzero(as_tuple=True)
        own = steering if steering.ndim == 2 else steering[scene]
        wide = own[:, where].to(explained.dtype)
        exact = _energy(wide) - _energy(explained[scene] @ wide)
        rows.append(gap[scene].index_put((where,), exact))
    return torch.stack(rows)


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
