"""The Gram matrix of a factor, with the gradient its symmetry allows."""

from typing import Any

import torch
from torch import Tensor


def gram(factor: Tensor) -> Tensor:
    """F^H F, (B, q, q) complex."""
    product: Tensor = _Gram.apply(factor)  # type: ignore[no-untyped-call]
    return product


class _Gram(torch.autograd.Function):
    """Autograd sees two factors and multiplies twice; F (g + g^H) is the same in one product."""

    @staticmethod
    def forward(ctx: Any, factor: Tensor) -> Tensor:  # noqa: ANN401 - torch gives it no type
        ctx.save_for_backward(factor)
        return factor.mH @ factor

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # noqa: ANN401
        (factor,) = ctx.saved_tensors
        product: Tensor = factor @ (gradient + gradient.mH)
        return product
