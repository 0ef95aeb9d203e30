"""The litmus probe: five steps on one batch show whether a network can learn at all."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

import torch
from torch import Tensor
from torch.nn import Module, Parameter

from risexp.config.run import RunConfig
from risexp.diagnostics.probe_trainer import (
    CachedObjective,
    ProbeTrainer,
    ShortRun,
    probe_rate,
    seeded,
    short_run_changes,
    train_setup,
)
from risexp.diagnostics.report import Number, Report, Requirement, Table, checked_report
from risexp.training.curriculum import curriculum
from risexp.training.plan import Plan

STEPS: Final = 5
LEFT: Final = 0.8
"""Largest share of the loss that five steps may leave."""
RATES: Final = (1e-2, 3e-3, 3e-2, 1e-3)
"""Learning rates, tried until one works, as far as the configured one allows them."""
_SCENES: Final = 4
"""Few enough for five steps to memorise; a good front starts near the floor of more scenes."""
_TRACE: Final = 1e-3
"""Noise on weights of zero, too little to change an answer."""
_NAMED: Final = 6
"""Most parameters that a sentence names."""

Gradients = Mapping[str, float]
"""Largest gradient of each trainable parameter over all steps; NaN if one was undefined."""


@dataclass(frozen=True)
class LitmusRun:
    """Five steps at one learning rate."""

    rate: float
    before: float
    """Loss of the batch, under the last step's plan."""
    after: tuple[float, ...]
    """The same after each step."""
    gradients: Gradients
    short_run: ShortRun

    @property
    def left(self) -> float:
        """Share of the loss left after the last step; infinite if undefined."""
        if not self.after or not self.before > 0.0 or math.isnan(self.after[-1]):
            return math.inf
        return self.after[-1] / self.before


def probe_litmus(config: RunConfig, trainer: ProbeTrainer | None = None) -> Report:
    """Take five steps on one batch over the configured ramp of beta.

    The loss is the configured one, compared with that of the untrained network under the last
    step's plan, as the weights of other plans differ. Whether it fell by the labels of the right
    scenes shows only in more steps, in `overfit` and `k-head`.
    """
    runs: list[LitmusRun] = []
    rates = (probe_rate(config.training, rate, STEPS) for rate in RATES)
    for rate in dict.fromkeys(rates):
        runs.append(_run(config, trainer or ProbeTrainer(), rate))
        if runs[-1].left <= LEFT or runs[-1].short_run.aborted is not None:
            break
    best = min(runs, key=lambda run: run.left)
    size = Number("trainable parameters", float(len(best.gradients)))
    learns = f"At a rate of {best.rate:g} five steps leave {best.left:.2f} of the loss."
    return checked_report("litmus", _checks(best), (size, _table(runs)), [learns])


def _run(config: RunConfig, trainer: ProbeTrainer, rate: float) -> LitmusRun:
    """Train five epochs of one batch, so that each step has its own plan."""
    short = config.replace(
        short_run_changes(config.training, STEPS, _SCENES, 1, rate)
        | {"training.optimizer.warmup_share": 0.0, "training.optimizer.final_share": 1.0}
        | {"beta.ramp_share": 1.0}
    )
    network, objective = trainer.fresh_network(short), trainer.objective_of(short)
    _add_noise(network, short.training.seed)
    scenes = trainer.scenes(short, "train", _SCENES)
    cached, last = CachedObjective(objective), curriculum(short)[-1]

    def judge(judged: Module, _plan: Plan) -> dict[str, float]:
        # The plan's weights: a learned balance would hide what the network learns.
        terms = cached(judged, scenes, last).terms
        return {"loss": math.fsum(last.weights[name] * float(terms[name]) for name in terms)}

    with torch.no_grad():
        before = judge(network.eval(), last)["loss"]
    setup = train_setup(network, objective, cached, judge)
    parameters = dict(network.named_parameters())
    parameters |= {f"balance.{name}": value for name, value in objective.balance.named_parameters()}
    with _largest_gradients(parameters) as largest:
        short_run = trainer.train(short, setup)
    after = tuple(epoch.scores["loss"] for epoch in short_run.epochs)
    gradients = {name: float(size) for name, size in largest.items()}
    return LitmusRun(rate, before, after, gradients, short_run)


@torch.no_grad()
def _add_noise(network: Module, seed: int) -> None:
    """Add noise to layers of zeros, behind which parameters have no gradient in the first step.

    The guard that every part moves in every epoch would abort the run.
    """
    with seeded(seed):
        for parameter in network.parameters():
            if parameter.ndim >= 2 and not bool(parameter.any()):
                parameter.normal_(std=_TRACE)


@contextmanager
def _largest_gradients(parameters: Mapping[str, Parameter]) -> Iterator[dict[str, Tensor]]:
    """The largest gradient of each trainable parameter inside the block."""
    trained = {name: value for name, value in parameters.items() if value.requires_grad}
    largest = {name: torch.zeros((), device=value.device) for name, value in trained.items()}

    def note(parameter: Tensor, name: str) -> None:
        if parameter.grad is not None:
            # The built-in max would lose NaN.
            largest[name] = torch.maximum(largest[name], parameter.grad.abs().amax())

    handles = [
        parameter.register_post_accumulate_grad_hook(partial(note, name=name))  # type: ignore[no-untyped-call]
        for name, parameter in trained.items()
    ]
    try:
        yield largest
    finally:
        for handle in handles:
            handle.remove()


def _checks(run: LitmusRun) -> tuple[Requirement, ...]:
    undefined = [name for name, size in run.gradients.items() if not math.isfinite(size)]
    without = [name for name, size in run.gradients.items() if size == 0.0]
    refusals = [refusal for epoch in run.short_run.epochs for refusal in epoch.refused]
    because = f" ({refusals[0].sentence()})" if refusals else ""
    return (
        Requirement.at_most(
            "parameters with an undefined gradient",
            float(len(undefined)),
            0.0,
            f"The gradient of {_listed(undefined)} is not finite{because}: `risexp diagnose "
            "gradients` shows which term makes it so.",
        ),
        run.short_run.step_check(STEPS),
        Requirement.at_most(
            "parameters without a gradient",
            float(len(without)),
            0.0,
            f"No term that has a weight reaches {_listed(without)}: give the output it serves a "
            "term, or leave it out.",
        ),
        Requirement.at_most(
            "share of the loss left",
            run.left,
            LEFT,
            f"Five steps on {_SCENES} scenes leave {run.left:.2f} of the loss at every rate "
            "tried: look at training.optimizer.lr, whether the loss follows the prediction, and "
            "whether the step follows the gradient.",
        ),
    )


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"


def _table(runs: list[LitmusRun]) -> Table:
    headings = ("rate", "before", *(f"step {step}" for step in range(1, STEPS + 1)))
    rows = tuple(
        (
            f"{run.rate:g}",
            run.before,
            *(run.after[step] if step < len(run.after) else None for step in range(STEPS)),
        )
        for run in runs
    )
    return Table("loss of the batch", headings, rows)
