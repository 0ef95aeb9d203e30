"""Pruners of a space: to add one, write its section here and add it to `Pruner`."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, JsonValue

from risexp.space.kinds import OptunaSection


def _epochs_or_auto(value: object) -> object:
    counted = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    if value != "auto" and not counted:
        message = "it is a number of epochs, 0 or more, or auto"
        raise ValueError(message)
    return value


Warmup = Annotated[int | Literal["auto"], BeforeValidator(_epochs_or_auto)]


@dataclass(frozen=True)
class Peer:
    """Another trial of the study, with which a pruner compares."""

    complete: bool
    epochs: Collection[int]
    """Epochs that it has reported."""


class PrunerSection(OptunaSection):
    """Base of all pruners.

    The search knows `first` and `last`: the epochs from the first after which a trial may be ended
    to the last of the longest trial; and `inner`: the pruner that another one uses.
    """

    def needed_trials(self) -> int:
        """Number of complete trials before any other can be ended."""
        return 0

    def can_end(self, epoch: int, first: int, peers: Sequence[Peer]) -> bool:
        """Whether a trial would be ended after an epoch if its score were bad enough.

        Trials may be ended after the epoch `first` and all later ones.
        """
        del epoch, first, peers
        return True

    def notes(self, first: int, epochs: int, trials: int) -> Iterator[str]:
        """Why the pruner is of no use in a study with these numbers of epochs and trials."""
        del first, epochs
        if trials <= self.needed_trials():
            yield (
                f"the pruner can end no trial: it waits for {self.needed_trials()} complete ones, "
                f"and there are {trials}"
            )


class WarmupSection(PrunerSection):
    """Base of all pruners with a warm-up."""

    warmup: Warmup = "auto"
    """Epochs at the beginning in which no trial is ended; `auto`: until no ramp of beta, count or
    structure moves any more, and at least three."""


class _Statistics(WarmupSection):
    """Compares a trial with complete ones."""

    sources: ClassVar[Mapping[str, str]] = {
        "n_startup_trials": "startup",
        "n_warmup_steps": "first",
        "interval_steps": "interval",
        "n_min_trials": "least",
    }

    startup: int = Field(default=5, ge=1)
    """Complete trials before any other is ended."""
    interval: int = Field(default=1, ge=1)
    """Epochs from one question to the next."""
    least: int = Field(default=1, ge=1)
    """Complete trials that must have a score of the same epoch."""

    def needed_trials(self) -> int:
        return max(self.startup, self.least)

    def can_end(self, epoch: int, first: int, peers: Sequence[Peer]) -> bool:
        complete = [peer for peer in peers if peer.complete]
        beside = sum(epoch in peer.epochs for peer in complete)
        due = (epoch - first) % self.interval == 0
        return due and len(complete) >= self.startup and beside >= self.least


class Median(_Statistics):
    """Ends a trial whose best score is worse than the median of that epoch."""

    optuna = "MedianPruner"

    kind: Literal["median"] = "median"
    """What ends trials."""


class Percentile(_Statistics):
    """Ends a trial whose best score is not among the best of that epoch."""

    optuna = "PercentilePruner"
    sources: ClassVar[Mapping[str, str]] = {**_Statistics.sources, "percentile": "percentile"}

    kind: Literal["percentile"]
    """What ends trials."""
    percentile: float = Field(default=25.0, gt=0.0, lt=100.0)
    """Share of trials, in percent, that go on."""


class _Halving(WarmupSection):
    """Compares a trial with all that reached the same rung."""

    sources: ClassVar[Mapping[str, str]] = {
        "min_resource": "first",
        "reduction_factor": "reduction",
    }

    def needed_trials(self) -> int:
        return 1

    def can_end(self, epoch: int, first: int, peers: Sequence[Peer]) -> bool:
        del epoch
        return any(max(peer.epochs, default=0) >= first for peer in peers)


class Asha(_Halving):
    """Asynchronous successive halving: at each rung the best of several go on."""

    optuna = "SuccessiveHalvingPruner"

    kind: Literal["asha"]
    """What ends trials."""
    reduction: int = Field(default=4, ge=2)
    """One of so many goes on; each rung lies so many times further than the one before."""


class Hyperband(_Halving):
    """Several successive halvings beside each other, from hasty to patient."""

    optuna = "HyperbandPruner"
    sources: ClassVar[Mapping[str, str]] = {**_Halving.sources, "max_resource": "last"}

    kind: Literal["hyperband"]
    """What ends trials."""
    reduction: int = Field(default=3, ge=2)
    """One of so many goes on; each rung lies so many times further than the one before."""

    def notes(self, first: int, epochs: int, trials: int) -> Iterator[str]:
        """Why the pruner is of no use in a study: also too many brackets."""
        yield from super().notes(first, epochs, trials)
        ratio = max(epochs, first) / first
        brackets = int(math.log(ratio, self.reduction) + 1e-9) + 1
        if trials < 2 * brackets:
            yield (
                f"hyperband divides {trials} trials among {brackets} brackets, which leaves most "
                "of them nothing to compare"
            )


class OtherPruner(WarmupSection):
    """One of Optuna's own, by name, used once its warm-up is over."""

    kind: Literal["optuna"]
    """What ends trials."""
    name: str
    """Name of the class in `optuna.pruners`."""
    options: dict[str, JsonValue] = Field(default_factory=dict)
    """Arguments of the class."""


class NoPruner(PrunerSection):
    """Ends no trial."""

    optuna = "NopPruner"

    kind: Literal["none"]
    """What ends trials."""


class Patient(PrunerSection):
    """Uses another pruner only for trials that have stopped improving."""

    optuna = "PatientPruner"
    sources: ClassVar[Mapping[str, str]] = {
        "wrapped_pruner": "inner",
        "patience": "patience",
        "min_delta": "least_gain",
    }

    kind: Literal["patient"]
    """What ends trials."""
    patience: int = Field(default=2, ge=0)
    """Epochs in a row without a better score before the other pruner is used."""
    least_gain: float = Field(default=0.0, ge=0.0)
    """By how much a score must fall to be a better one."""
    pruner: Annotated[
        Median | Percentile | Asha | Hyperband | OtherPruner, Field(discriminator="kind")
    ] = Median()
    """The other pruner, with its own warm-up."""

    def needed_trials(self) -> int:
        """Those of the other pruner."""
        return self.pruner.needed_trials()

    def can_end(self, epoch: int, first: int, peers: Sequence[Peer]) -> bool:
        """Whether the patience may be over and the other pruner could end the trial."""
        return epoch > self.patience + 1 and self.pruner.can_end(epoch, first, peers)

    def notes(self, first: int, epochs: int, trials: int) -> Iterator[str]:
        """Why the pruner is of no use in a study: also too much patience."""
        yield from self.pruner.notes(first, epochs, trials)
        if self.patience + 2 >= epochs:
            yield (
                f"the pruner can end no trial: a patience of {self.patience} epochs is never over "
                f"before the last of {epochs}"
            )


Pruner = Annotated[
    Median | Percentile | Asha | Hyperband | OtherPruner | NoPruner | Patient,
    Field(discriminator="kind"),
]


def warmup_of(pruner: PrunerSection) -> Warmup | None:
    """The warm-up that a pruner's section sets; None if it never ends a trial."""
    if isinstance(pruner, Patient):
        return warmup_of(pruner.pruner)
    return pruner.warmup if isinstance(pruner, WarmupSection) else None
