"""AdamW that can be refused on the device: a step leaves no trace where the gate says no."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import torch
from torch import Tensor
from torch.optim import AdamW

from risexp.config.training import OptimizerConfig, Part
from risexp.training.param_groups import Parts

_MOMENTS: Final = ("step", "exp_avg", "exp_avg_sq")


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
        """The rule a configuration describes."""
        return cls(optimizer.lr, optimizer.head_factor, optimizer.weight_decay, optimizer.clip)

    def lr_of(self, part: Part) -> float:
        """Largest learning rate of a part."""
        return self.lr * (self.head_factor if part == "heads" else 1.0)


class GatedAdamW(AdamW):
    """Fused AdamW over parts of a network: a rate each, and a gate, both on the device."""

    found_inf: Tensor
    """What the fused kernel looks at: at one it writes neither weights nor moments."""

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
