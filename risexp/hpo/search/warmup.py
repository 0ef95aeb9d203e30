"""The warm-up of a study's pruner: no trial is ended while a ramp of any trial moves scores."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, Self

from pydantic import JsonValue

from risexp.config.run import RunConfig
from risexp.errors import ConfigInvalid
from risexp.space.check import failure
from risexp.space.pruners import NoPruner, Pruner, warmup_of
from risexp.space.spec import SearchSpace
from risexp.space.study_spec import StudySpec
from risexp.training.curriculum import curriculum

FEW: Final = 3
"""Shortest automatic warm-up in epochs: the first scores say little about the last."""
_CORNERS: Final = 4096
_TIMING: Final = ("beta.", "curriculum.", "training.epochs", "loss.")
"""Prefixes of the fields that decide how long ramps last."""


@dataclass(frozen=True)
class Pruning:
    """The pruner of a study with its warm-up."""

    spec: Pruner
    warmup: int
    """Number of epochs in which no trial is ended."""
    settled: int
    """The first epoch without a ramp, in the trial with the longest ramps."""
    epochs: int
    """Epochs of the longest trial."""

    @classmethod
    def of(cls, study_spec: StudySpec) -> Self:
        """The pruner of a study, by its space."""
        settled, epochs = ramps(study_spec)
        pruner = study_spec.space.pruner
        warmup = warmup_of(pruner)
        resolved = max(settled, FEW) if warmup == "auto" else warmup or 0
        return cls(pruner, resolved, settled, epochs)

    @property
    def first(self) -> int:
        """The first epoch after which a trial may be ended."""
        return self.warmup + 1

    def problems(self) -> Iterator[str]:
        """Reasons why trials would be ended wrongly."""
        if not isinstance(self.spec, NoPruner) and self.first < self.settled:
            yield (
                f"pruner: a warm-up of {self.warmup} epochs ends while ramps of beta, count or "
                f"structure move scores, which they do until epoch {self.settled}: give it "
                f"{self.settled - 1} or more, or auto"
            )

    def notes(self, trials: int) -> Iterator[str]:
        """Reasons why the pruner is of no use in a study with this number of trials."""
        if isinstance(self.spec, NoPruner):
            return
        # To end a trial after its last epoch saves nothing.
        if self.first >= self.epochs:
            yield (
                f"the pruner can end no trial: its warm-up of {self.warmup} epochs leaves none of "
                f"{self.epochs} before the last"
            )
        yield from self.spec.notes(self.first, self.epochs, trials)


def ramps(study_spec: StudySpec) -> tuple[int, int]:
    """The first epoch without a ramp, and the number of epochs: the largest of all trials."""
    settled, epochs = 1, 1
    for values in islice(timings(study_spec.space, study_spec.base), _CORNERS):
        try:
            plans = curriculum(study_spec.base.replace(values))
        except ConfigInvalid as error:
            where = ", ".join(f"{path} = {value}" for path, value in values.items())
            raise ConfigInvalid(f"{where}: {error}" if where else str(error)) from None
        settled = max(settled, next((plan.epoch for plan in plans if plan.judged), len(plans)))
        epochs = max(epochs, len(plans))
    return settled, epochs


def timings(space: SearchSpace, base: RunConfig) -> Iterator[dict[str, JsonValue]]:
    """Every combination of bounds of the fields that decide how long ramps last.

    Weights matter only by being zero or not, so they are set to their upper bounds. Invalid
    combinations are left out; the base itself comes first.
    """
    yield {}
    known, conditions = base.flat(), _conditions(space)
    ways: Iterator[dict[str, JsonValue]] = iter([{}])
    for path, _ in space.ordered():
        if path.startswith(_TIMING) or path in conditions:
            ways = _extended(space, known, path, ways)
    for values in ways:
        if not space.forbids(known | values) and failure(space, base, values) is None:
            yield values


def _conditions(space: SearchSpace) -> set[str]:
    """Varied fields in the conditions of timing fields, and in the conditions of those."""
    conditions: set[str] = set()
    waiting = [path for path in space.vary if path.startswith(_TIMING)]
    while waiting:
        more = space.vary[waiting.pop()].when.keys() & space.vary.keys() - conditions
        conditions |= more
        waiting += more
    return conditions


def _extended(
    space: SearchSpace, known: dict[str, Any], path: str, ways: Iterator[dict[str, JsonValue]]
) -> Iterator[dict[str, JsonValue]]:
    """Every way with every bound of a further dimension, where it is varied then."""
    dimension = space.vary[path]
    for values in ways:
        if space.active(dimension, known | values, values):
            for end in _distinct_ends(path, dimension.ends()):
                yield {**values, path: end}
        else:
            yield values


def _distinct_ends(path: str, ends: list[JsonValue]) -> list[JsonValue]:
    """The bounds that may make ramps last differently."""
    numbers = [end for end in ends if isinstance(end, int | float)]
    return [max(numbers)] if path.startswith("loss.") and numbers else ends
