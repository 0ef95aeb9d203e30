"""What moves the weights: parts, learning rate, an AdamW that can refuse a step, and the average.

The learning rate is a function of the steps that were taken: a warm-up, then half a cosine,

    factor(t) = t / W                                                   t <= W
              = f + (1 - f) (1 + cos(pi (t - P) / (T - P))) / 2         then, P = max(W, 1)

for t = 1 .. T. The first step's factor is 1 / W, never zero; the last step's is f.

The averaged weights are a bias-corrected exponential mean, ready to be used at any time,

    a_t = a_{t-1} + r_t (w_t - a_{t-1}),   r_t = (1 - d) / (1 - d^t)

which is s_t / (1 - d^t) of the plain recursion s_t = d s_{t-1} + (1 - d) w_t with s_0 = 0: the
first step gives the weights themselves, and no initial value is ever part of the mean.
"""

import copy
import inspect
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Self

import torch
from torch import Tensor
from torch.nn import Module, Parameter
from torch.optim import AdamW

from risexp.config.training import OptimizerConfig, Part
from risexp.training.plan import PARTS

_MOMENTS: Final = ("step", "exp_avg", "exp_avg_sq")

Parts = Mapping[Part, Mapping[str, Parameter]]
"""Trainable parameters by part and name."""


def parts_of(network: Module, part_of: Callable[[str], Part], balance: Module) -> Parts:
    """The trainable parameters of a run, by part; those of the balance are heads."""
    parts: dict[Part, dict[str, Parameter]] = {part: {} for part in PARTS}
    for name, parameter in _trainable(network):
        parts[part_of(name)][name] = parameter
    for name, parameter in _trainable(balance):
        parts["heads"][f"balance.{name}"] = parameter
    return parts


def expect_each_once(modules: Iterable[Module], grouped: Iterable[Parameter]) -> None:
    """Check that groups hold every trainable parameter of some modules exactly once.

    Raises:
        ValueError: A parameter is in no group, in two, or of another module.
    """
    left = {id(each): name for module in modules for name, each in _trainable(module)}
    for parameter in grouped:
        if left.pop(id(parameter), None) is None:
            message = "a parameter is in two groups of the optimizer, or belongs to no network"
            raise ValueError(message)
    if left:
        message = f"{min(left.values())} is trainable and in no group of the optimizer"
        raise ValueError(message)


@contextmanager
def freeze(parts: Parts, frozen: Iterable[Part]) -> Iterator[None]:
    """Give whole parts no gradient for a while: no step and no moment of Adam changes them."""
    parameters = [each for part in frozen for each in parts.get(part, {}).values()]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


def _trainable(module: Module) -> list[tuple[str, Parameter]]:
    return [(name, each) for name, each in module.named_parameters() if each.requires_grad]


@dataclass(frozen=True)
class StepRule:
    """How large a step is."""

    lr: float
    """Largest learning rate of the backbone."""
    head_factor: float
    """Learning rate of the heads over that of the backbone."""
    weight_decay: float
    """Decoupled decay of parameters with two axes or more."""
    clip: float
    """Largest norm of the whole gradient."""

    @classmethod
    def of(cls, optimizer: OptimizerConfig) -> Self:
        """The rule of a configuration."""
        return cls(optimizer.lr, optimizer.head_factor, optimizer.weight_decay, optimizer.clip)

    def lr_of(self, part: Part) -> float:
        """Largest learning rate of a part."""
        return self.lr * (self.head_factor if part == "heads" else 1.0)


@dataclass(frozen=True)
class Schedule:
    """Warm-up and cosine decay of the learning rate over a whole run."""

    steps: int
    """T: steps of the run if none is refused."""
    warmup: int
    """W: steps that rise; the last of them has the full rate."""
    final_share: float
    """f: rate of the last step over the largest."""

    @classmethod
    def of(cls, optimizer: OptimizerConfig, steps: int) -> Self:
        """The schedule of a configuration over this many steps."""
        return cls(steps, math.ceil(optimizer.warmup_share * steps), optimizer.final_share)

    def factor(self, step: Tensor) -> Tensor:
        """Learning rate of a step over the largest one, float64 on the device of the step.

        Args:
            step: Number of the step, from 1; after the last one the rate stays.
        """
        peak = max(self.warmup, 1)
        at = step.double()
        rise = (at / peak).clamp(max=1.0)
        progress = ((at - peak) / max(self.steps - peak, 1)).clamp(0.0, 1.0)
        fall = (1.0 + (math.pi * progress).cos()) / 2.0
        return rise * (self.final_share + (1.0 - self.final_share) * fall)


class GatedAdamW(AdamW):
    """Fused AdamW with a rate for each part, and a gate: a refused step leaves no trace."""

    found_inf: Tensor
    """Read by the fused kernel: at one it writes neither weights nor moments."""
    # Their wrappers would import torch's compiler, which takes a third of a start.
    add_param_group = inspect.unwrap(AdamW.add_param_group)
    zero_grad = inspect.unwrap(AdamW.zero_grad)
    step = inspect.unwrap(AdamW.step)

    def __init__(self, parts: Parts, weight_decay: float) -> None:
        groups = list(_groups(parts, weight_decay))
        self.group_parts: tuple[Part, ...] = tuple(part for part, _ in groups)
        """The part of each group."""
        self._named = {name: each for part in parts.values() for name, each in part.items()}
        device = next(iter(self._named.values())).device
        # Each group holds its element of one tensor, so that the host never reads a rate.
        self._rates = torch.zeros(len(groups), device=device)
        with_rates = [
            {**group, "lr": rate} for (_, group), rate in zip(groups, self._rates, strict=True)
        ]
        super().__init__(with_rates, fused=True)
        for parameter in self._named.values():
            self.state[parameter] = {
                "step": torch.zeros((), device=device),
                "exp_avg": torch.zeros_like(parameter),
                "exp_avg_sq": torch.zeros_like(parameter),
            }

    @torch.no_grad()
    def gated_step(self, taken: Tensor, rates: Tensor) -> None:
        """Take a step where () bool `taken` is true, with the (groups,) learning rates."""
        self._rates.copy_(rates)
        self.found_inf = (~taken).float()
        self.step()

    @property
    def rates(self) -> Mapping[Part, Tensor]:
        """Learning rate of each part at the last batch, () on the device."""
        return dict(zip(self.group_parts, self._rates, strict=True))

    def tensors(self) -> dict[str, Tensor]:
        """Every moment by `<moment>.<parameter>`, the very tensors in use."""
        return {
            f"{moment}.{name}": self.state[parameter][moment]
            for moment in _MOMENTS
            for name, parameter in self._named.items()
        }


def _groups(parts: Parts, weight_decay: float) -> Iterator[tuple[Part, dict[str, Any]]]:
    """Part and options of every group that has parameters; only matrices decay."""
    for part, named in parts.items():
        matrices = [each for each in named.values() if each.ndim >= 2]
        others = [each for each in named.values() if each.ndim < 2]
        if matrices:
            yield part, {"params": matrices, "weight_decay": weight_decay}
        if others:
            yield part, {"params": others, "weight_decay": 0.0}


class Average:
    """A copy of a network that holds the mean of its weights; it is validated, kept and served.

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
        return _distance(
            [(mean, old) for (mean, _), old in zip(self._pairs, self._marked, strict=True)]
        )

    @torch.no_grad()
    def distance(self) -> Tensor:
        """|a - w| over all parameters, () float64."""
        return _distance(self._pairs)


def _distance(pairs: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """Norm of the difference of two sets of tensors, () float64."""
    squares = [(one - other).double().square().sum() for one, other in pairs]
    return torch.stack(squares).sum().sqrt()
