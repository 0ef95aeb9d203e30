"""When a study may end trials early: its warm-up by the plans of its runs, and what it can do."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final, Self

from pydantic import JsonValue

from risexp.config.run import RunConfig
from risexp.errors import ConfigInvalid
from risexp.space.pruners import (
    Asha,
    Hyperband,
    Median,
    NoPruner,
    Patient,
    Percentile,
    Pruner,
    warmup_of,
)
from risexp.space.spec import SearchSpace
from risexp.space.study_spec import StudySpec
from risexp.training.curriculum import curriculum

FEW: Final = 3
"""Epochs that `auto` waits for at least: the first ones say little about the last."""
_CORNERS: Final = 4096
_TIMING: Final = ("beta.", "curriculum.", "training.epochs", "loss.")
"""How the fields begin that decide how long ramps last."""


@dataclass(frozen=True)
class Pruning:
    """The pruner of a study, its warm-up resolved."""

    spec: Pruner
    warmup: int
    """Epochs in which no trial is ended."""
    settled: int
    """The first epoch that no ramp changes, of the trial with the longest ramps."""
    epochs: int
    """Of the longest trial."""

    @classmethod
    def of(cls, charter: StudySpec) -> Self:
        """The pruning that a study's space asks for.

        Raises:
            ConfigInvalid: Some trial of it has no plan.
        """
        settled, epochs = ramps(charter)
        asked = warmup_of(charter.space.pruner)
        warmup = max(settled, FEW) if asked == "auto" else asked or 0
        return cls(charter.space.pruner, warmup, settled, epochs)

    @property
    def first(self) -> int:
        """The first epoch after which a trial may be ended."""
        return self.warmup + 1

    def problems(self) -> Iterator[str]:
        """Why trials would be ended for the wrong reason."""
        if not isinstance(self.spec, NoPruner) and self.first < self.settled:
            yield (
                f"pruner: a warm-up of {self.warmup} epochs ends while ramps of beta, count or "
                f"structure move scores, which they do until epoch {self.settled}: give it "
                f"{self.settled - 1} or more, or auto"
            )

    def notes(self, trials: int) -> Iterator[str]:
        """Why it could never end a trial, said before anybody relies on it.

        Args:
            trials: Of the study.
        """
        if isinstance(self.spec, NoPruner):
            return
        # A trial that is ended after its last epoch saves nothing.
        if self.first >= self.epochs:
            yield (
                f"the pruner can end no trial: its warm-up of {self.warmup} epochs leaves none of "
                f"{self.epochs} before the last"
            )
        comparing = self.spec.pruner if isinstance(self.spec, Patient) else self.spec
        needed = _needed(comparing)
        if trials <= needed:
            yield (
                f"the pruner can end no trial: it waits for {needed} complete ones, and there are "
                f"{trials}"
            )
        if isinstance(comparing, Hyperband) and trials < 2 * self.brackets(comparing):
            yield (
                f"hyperband divides {trials} trials among {self.brackets(comparing)} brackets, "
                "which leaves most of them nothing to compare"
            )
        if isinstance(self.spec, Patient) and self.spec.patience + 2 >= self.epochs:
            yield (
                f"the pruner can end no trial: a patience of {self.spec.patience} epochs is never "
                f"over before the last of {self.epochs}"
            )

    def brackets(self, hyperband: Hyperband) -> int:
        """Among how many successive halvings it divides its trials."""
        ratio = max(self.epochs, self.first) / self.first
        return int(math.log(ratio, hyperband.reduction) + 1e-9) + 1


def ramps(charter: StudySpec) -> tuple[int, int]:
    """The first epoch that no ramp changes, and the number of epochs: the largest of any trial.

    Raises:
        ConfigInvalid: Some trial of it has no plan.
    """
    settled, epochs = 1, 1
    for values in islice(timings(charter.space, charter.base), _CORNERS):
        config = charter.base.replace(values)
        try:
            plans = curriculum(config)
        except ConfigInvalid as error:
            said = ", ".join(f"{path} = {value}" for path, value in values.items())
            raise ConfigInvalid(f"{said}: {error}" if said else str(error)) from None
        settled = max(settled, next((each.epoch for each in plans if each.judged), len(plans)))
        epochs = max(epochs, len(plans))
    return settled, epochs


def timings(space: SearchSpace, base: RunConfig) -> Iterator[dict[str, JsonValue]]:
    """Every way to set the fields that decide how long ramps last to a bound of theirs.

    Weights matter by being zero or not, so they are set to their upper bounds. Combinations that
    are no runs are left out; the base itself comes first.
    """
    yield {}
    asked = _asked_about(space)
    order = [path for path, _ in space.ordered() if path.startswith(_TIMING) or path in asked]
    for values in _branches(space, base.flat(), order, {}):
        known = {**base.flat(), **values}
        if not space.forbids(known) and _possible(base, values):
            yield values


def _asked_about(space: SearchSpace) -> set[str]:
    """What conditions of timing fields ask about, and the conditions of those."""
    asked: set[str] = set()
    waiting = [path for path in space.vary if path.startswith(_TIMING)]
    while waiting:
        found = space.vary[waiting.pop()].when.keys() & space.vary.keys() - asked
        asked |= found
        waiting += found
    return asked


def _branches(
    space: SearchSpace,
    known: Mapping[str, object],
    order: list[str],
    values: dict[str, JsonValue],
) -> Iterator[dict[str, JsonValue]]:
    if not order:
        yield values
        return
    path, *rest = order
    dimension = space.vary[path]
    if not space.active(dimension, {**known, **values}, values):
        yield from _branches(space, known, rest, values)
        return
    for end in _told_apart(path, dimension.ends()):
        yield from _branches(space, known, rest, {**values, path: end})


def _told_apart(path: str, ends: list[JsonValue]) -> list[JsonValue]:
    """The bounds that may differ in how long ramps last."""
    numbers = [each for each in ends if isinstance(each, int | float)]
    return [max(numbers)] if path.startswith("loss.") and numbers else ends


def _possible(base: RunConfig, values: Mapping[str, JsonValue]) -> bool:
    try:
        base.replace(values)
    except ConfigInvalid:
        return False
    return True


def _needed(pruner: Pruner) -> int:
    """Complete trials before any other can be ended."""
    match pruner:
        case Median() | Percentile():
            return max(pruner.startup, pruner.least)
        case Asha() | Hyperband():
            return 1
        case _:
            return 0
