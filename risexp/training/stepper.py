"""The step gate: a step is taken, or refused whole, and the host never waits to know which."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn import Module, Parameter
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from risexp.config.training import Part
from risexp.training.meters import StepMeter, Steps, fetch
from risexp.training.optimizer import (
    Average,
    GatedAdamW,
    Parts,
    Schedule,
    StepRule,
    expect_each_once,
    freeze,
)
from risexp.training.plan import Plan


class Stepper:
    """Takes or refuses the steps of a network; schedule and average follow the steps taken only."""

    def __init__(
        self,
        modules: Sequence[Module],
        parts: Parts,
        rule: StepRule,
        schedule: Schedule,
        average: Average,
    ) -> None:
        """Group the parameters.

        Args:
            modules: The trained modules; each of their trainable parameters must be in one part.
            parts: The parameters by part and name.
            rule: The size of a step.
            schedule: The learning rate over the run.
            average: The average of the weights.

        Raises:
            ValueError: A trainable parameter is in no group, or in two.
        """
        self.average = average
        self.optimizer = GatedAdamW(parts, rule.weight_decay)
        grouped = [each for group in self.optimizer.param_groups for each in group["params"]]
        expect_each_once(modules, grouped)
        self.parameters: Mapping[str, Parameter] = {
            name: each for part in parts.values() for name, each in part.items()
        }
        """Every trainable parameter by its name."""
        self._parts = {part: named for part, named in parts.items() if named}
        self._rule = rule
        self._schedule = schedule
        self.device = next(iter(self.parameters.values())).device
        self._taken = torch.zeros((), dtype=torch.int64, device=self.device)
        self._largest_rates = torch.zeros(0, dtype=torch.float64, device=self.device)
        self._before: dict[str, Tensor] = {}
        self._meter = StepMeter(0, self.device)

    @contextmanager
    def epoch(self, plan: Plan, batches: int) -> Iterator[None]:
        """Count an epoch under its plan; frozen parts receive no gradient until it ends."""
        rates = [self._rule.lr_of(part) * plan.rates[part] for part in self.optimizer.group_parts]
        self._largest_rates = torch.tensor(rates, dtype=torch.float64, device=self.device)
        self._before = {name: each.detach().clone() for name, each in self.parameters.items()}
        self._meter = StepMeter(batches, self.device)
        self.average.mark()
        self.optimizer.zero_grad()
        with freeze(self._parts, plan.frozen):
            yield

    def step(self, total: Tensor, batch: int) -> Tensor:
        """Take the step of the current gradients, or refuse it, and clear them.

        Args:
            total: () loss of the batch.
            batch: Its number in the epoch, from 0.

        Returns:
            () bool on the device: whether the step was taken.
        """
        parameters = [each for each in self.parameters.values() if each.grad is not None]
        norm = get_total_norm([each.grad for each in parameters if each.grad is not None])
        taken = norm.isfinite() & (norm > 0.0) & total.detach().isfinite()
        clip_grads_with_norm_(parameters, self._rule.clip, norm)
        factor = self._schedule.factor(self._taken + 1)
        self.optimizer.gated_step(taken, self._largest_rates * factor)
        self.optimizer.zero_grad()
        self._taken += taken
        self.average.add(taken, self._taken)
        self._meter.add(batch, taken, norm, self._rule.clip)
        return taken

    def read(self) -> Steps:
        """Update the average, and read the counts of the epoch: one transfer."""
        self.average.settle()
        averaged = self.average.averages
        values = fetch(
            self._meter.tensors()
            | {"distance": self.average.distance(), "drift": self.average.moved()}
            | {"total": self._taken}
            | {f"lr {part}": rate for part, rate in self.optimizer.rates.items()}
            | {f"moved {part}": self._moved(part) for part in self._parts}
        )
        return Steps(
            batches=self._meter.batches,
            taken=int(values["taken"][0]),
            refused=tuple(batch for batch, refused in enumerate(values["refused"]) if refused),
            total=int(values["total"][0]),
            lr={part: values[f"lr {part}"][0] for part in self._parts},
            grad_norm=values["grad_norm"][0],
            grad_norm_max=values["grad_norm_max"][0],
            clipped=int(values["clipped"][0]),
            moved={part: values[f"moved {part}"][0] for part in self._parts},
            average_distance=values["distance"][0] if averaged else None,
            average_moved=values["drift"][0] if averaged else None,
        )

    def resume(self, steps: int) -> None:
        """Go on after so many taken steps."""
        self._taken.fill_(steps)

    @torch.no_grad()
    def _moved(self, part: Part) -> Tensor:
        """Norm of what the epoch added to the parameters of a part, () float64."""
        squares = [
            (parameter - self._before[name]).double().square().sum()
            for name, parameter in self._parts[part].items()
        ]
        return torch.stack(squares).sum().sqrt()
