"""What a system without factors would compute: whole N x N matrices, each operation as written."""

import torch
from torch import Tensor

from risexp.covariance.factored import FactoredCovariance


def dense(covariance: FactoredCovariance, dtype: torch.dtype = torch.complex64) -> Tensor:
    """The matrix itself, as a system without factors would hold it."""
    factor = covariance.factor.to(dtype)
    eye = torch.eye(covariance.elements, dtype=dtype)
    return factor @ factor.mH + covariance.diagonal.to(dtype)[:, None, None] * eye


def dense_mvdr(matrix: Tensor, steering: Tensor) -> Tensor:
    """1 / |L^-1 a|^2 with the Cholesky root of the whole matrix."""
    root = torch.linalg.cholesky(matrix)
    shared = steering.expand(len(matrix), -1, -1)
    white = torch.linalg.solve_triangular(root, shared, upper=False)
    spectrum: Tensor = 1.0 / white.abs().square().sum(-2)
    return spectrum


def dense_nmse(one: Tensor, two: Tensor) -> Tensor:
    """|A - B|^2 / |B|^2."""
    return (one - two).abs().square().sum((-2, -1)) / two.abs().square().sum((-2, -1))


def tight_nmse(one: Tensor, two: Tensor) -> Tensor:
    """The same without the square roots hidden in `abs`: the fastest dense form known to us."""
    error = torch.view_as_real(one - two).square().sum((-3, -2, -1))
    return error / torch.view_as_real(two).square().sum((-3, -2, -1))
