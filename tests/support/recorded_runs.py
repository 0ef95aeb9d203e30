"""Runs as the tests of tracking need them: epochs made of numbers, and who tells them."""

import shutil
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from risexp.callbacks.guards import Guard, GuardCallback, Reading
from risexp.callbacks.run_loop import Callback, run_loop
from risexp.config.training import Phase
from risexp.errors import TrainingAborted
from risexp.runs.outcome import Outcome
from risexp.training.events import (
    BatchEnded,
    EpochEnded,
    EpochStarted,
    Event,
    RunStarted,
)
from risexp.training.meters import Losses, Steps
from risexp.training.plan import Plan
from risexp.training.progress import CRITERIA, Progress

SCORES: Mapping[str, float] = {
    "k_loc": 3.412,
    "k_acc": 0.612,
    "k_under": 0.301,
    "k_over": 0.087,
    "success_rate": 0.333,
    "success_strict": 0.204,
    "aoa_rmse": 4.1,
    "range_rmse": 0.71,
    "aoa_median": 0.8,
    "aoa_p95": 9.2,
    "range_median": 0.11,
    "range_p95": 1.9,
    "gospa": 2.2,
    "gospa_localisation": 0.4,
    "gospa_missed": 1.5,
    "gospa_false": 0.3,
    "loss": 1.21,
    "count_nll": 0.97,
    "count_nll_chance": 1.6081,
    "count_entropy": 1.52,
    "k_majority": 0.213,
    "k_reference": 0.668,
    "success_reference": 0.503,
    "k_nomp": 0.676,
    "success_nomp": 0.421,
    "scenes": 1024.0,
}
"""Of a network that has learned something, every name that a validation without a blend gives."""

DEAD: Mapping[str, float] = {
    **SCORES,
    "k_loc": 7.9,
    "k_acc": 0.213,
    "success_rate": 0.004,
    "count_nll": 1.6076,
    "count_entropy": 0.0,
}
"""Of one that always answers the most frequent count."""

WEIGHTS: Mapping[str, float] = {"cov": 0.1, "cov_pred": 0.05, "count": 1.0, "eigengap": 0.0}
RAW: Mapping[str, float] = {"cov": 0.8125, "cov_pred": 0.5, "count": 1.25}


def plan_of(
    epoch: int,
    phase: Phase = "joint",
    *,
    beta: float = 0.0,
    weights: Mapping[str, float] = WEIGHTS,
    judged: bool = True,
) -> Plan:
    """An epoch's plan."""
    return Plan(epoch, phase, beta, weights, {"backbone": 1.0, "heads": 1.0}, judged)


def plans_of(*phases: Phase) -> tuple[Plan, ...]:
    """One plan an epoch."""
    return tuple(plan_of(epoch, phase) for epoch, phase in enumerate(phases, start=1))


def steps_of(epoch: int) -> Steps:
    """Four steps for four batches, both parts moved."""
    return Steps(
        batches=4,
        taken=4,
        refused=(),
        total=4 * epoch,
        lr={"backbone": 1e-3, "heads": 2e-3},
        grad_norm=0.7,
        grad_norm_max=1.9,
        clipped=1,
        moved={"backbone": 0.03, "heads": 0.04},
        average_distance=0.011,
        average_moved=0.02,
    )


def losses_of(plan: Plan) -> Losses:
    """The raw terms of `RAW`, each weighted by its plan."""
    raw = {name: RAW.get(name, 1.0) for name in plan.active}
    weighted = {name: plan.weights[name] * value for name, value in raw.items()}
    return Losses(64, sum(weighted.values()), raw, weighted)


def ended_of(plan: Plan, scores: Mapping[str, float] = SCORES) -> EpochEnded:
    """The end of a sound epoch under a plan."""
    return EpochEnded(
        plan=plan,
        losses=losses_of(plan),
        scores=scores,
        steps=steps_of(plan.epoch),
        refused=(),
        best=None,
        since_best=0,
        training_s=2.0,
        validation_s=0.5,
    )


Telling = Callable[[Plan], EpochEnded]


@dataclass
class Told:
    """A trainer that tells what it is given, in the order in which a real one does."""

    plans: Sequence[Plan]
    tell: Telling = ended_of
    progress: Progress = field(default_factory=Progress)
    batches: Sequence[int] = range(4)
    closed: bool = False

    def run(self) -> Generator[Event, None, None]:
        try:
            for plan in self.plans[self.progress.epoch :]:
                yield EpochStarted(plan)
                for batch in self.batches:
                    yield BatchEnded(plan.epoch, batch, len(self.batches))
                ended = self.tell(plan)
                self.progress = self.progress.closed(
                    plan, 4 * plan.epoch, ended.scores["k_loc"], CRITERIA["k_loc"]
                )
                best, since = self.progress.best, self.progress.since_best
                yield replace(ended, best=best, since_best=since)
        finally:
            self.closed = True


def joint(epochs: int) -> Told:
    """A sound run of one phase."""
    return Told(tuple(plan_of(epoch) for epoch in range(1, epochs + 1)))


def telling(*scores: Mapping[str, float]) -> Telling:
    """Each epoch with its own scores."""
    return lambda plan: ended_of(plan, scores[plan.epoch - 1])


def k_locs(*values: float) -> Telling:
    """Each epoch with its own k_loc."""
    return telling(*({**SCORES, "k_loc": value} for value in values))


def followed(trainer: Told, *observers: Callback) -> Outcome:
    """How a run under these observers ends."""
    return run_loop(trainer, observers, "run-1", lambda _: None)


def guarded(trainer: Told, *guards: Guard) -> Outcome:
    """How a run under these guards ends."""
    watch = GuardCallback(guards)
    return followed(trainer, watch, watch.enforce)


def reading(guard: Guard, event: Event) -> Reading:
    """The one thing a guard sees in an event."""
    (found,) = guard.look(event)
    return found


def started_of(trainer: Told, run_id: str = "run-1") -> RunStarted:
    """What `follow` tells first."""
    return RunStarted(run_id, len(trainer.plans), trainer.progress.epoch, len(trainer.batches))


def guard_values(guard: Guard, event: Event) -> dict[str, float]:
    """The values that a guard reads in an event, by name."""
    return {seen.guard: seen.value for seen in guard.look(event)}


def guard_fault(guard: Guard, event: Event) -> str:
    """The first fault of a guard, which has to be one sentence."""
    guards = GuardCallback([guard])
    guards(event)
    with pytest.raises(TrainingAborted) as caught:
        guards.enforce(event)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def without_spares(folder: Path) -> None:
    """Make a run's folder one of an earlier version, which kept no spare copies."""
    shutil.rmtree(folder / "spares", ignore_errors=True)
