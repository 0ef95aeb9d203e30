"""The averaged weights: a bias-corrected exponential mean, ready to be used at any time.

    a_t = a_{t-1} + r_t (w_t - a_{t-1}),   r_t = (1 - d) / (1 - d^t)

is s_t / (1 - d^t) of the plain recursion s_t = d s_{t-1} + (1 - d) w_t with s_0 = 0: the first step
gives the weights themselves, and no initial value is ever part of the mean.
"""

import copy
import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import Module


class Average:
    """A copy of a network that holds the mean of its weights; what is validated, kept and served.

    Without a decay it is a plain copy, brought up to date once an epoch.
    """

    def __init__(self, network: Module, decay: float | None) -> None:
        self.module = copy.deepcopy(network).requires_grad_(requires_grad=False).eval()
        self._network = network
        self._decay = decay
        self._marked: list[Tensor] = []
        weights = dict(network.named_parameters())
        self._pairs = [(mean, weights[name]) for name, mean in self.module.named_parameters()]

    @property
    def averages(self) -> bool:
        """Whether anything is averaged."""
        return self._decay is not None

    @torch.no_grad()
    def add(self, taken: Tensor, steps: Tensor) -> None:
        """Take the weights after a step into the mean, on the device.

        Args:
            taken: () bool: whether the step was taken; the mean does not move otherwise.
            steps: () number of steps taken so far, this one included.
        """
        if self._decay is None:
            return
        seen = steps.double().clamp(min=1.0)
        bias = -torch.expm1(seen * math.log(self._decay))
        rate = (taken * (1.0 - self._decay) / bias).float()
        for mean, weight in self._pairs:
            mean.lerp_(weight, rate.to(mean.dtype))

    @torch.no_grad()
    def settle(self) -> None:
        """Copy what is not averaged: buffers, and without a decay everything."""
        if self._decay is None:
            for mean, weight in self._pairs:
                mean.copy_(weight)
        buffers = dict(self._network.named_buffers())
        for name, buffer in self.module.named_buffers():
            buffer.copy_(buffers[name])

    @torch.no_grad()
    def mark(self) -> None:
        """Remember where the mean stands, for `moved`."""
        self._marked = [mean.clone() for mean, _ in self._pairs]

    @torch.no_grad()
    def moved(self) -> Tensor:
        """|a - a at the mark| over all parameters, () float64."""
        return _norm(
            [(mean, old) for (mean, _), old in zip(self._pairs, self._marked, strict=True)]
        )

    @torch.no_grad()
    def distance(self) -> Tensor:
        """|a - w| over all parameters, () float64."""
        return _norm(self._pairs)


def _norm(pairs: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """Norm of the difference of two sets of tensors, () float64."""
    squares = [(one - other).double().square().sum() for one, other in pairs]
    return torch.stack(squares).sum().sqrt()
