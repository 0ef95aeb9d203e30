"""Guards that are read before an epoch is recorded, and enforced after it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from risexp.errors import TrainingAborted
from risexp.training.events import BatchEnded, Event


@dataclass(frozen=True)
class Reading:
    """What a guard saw."""

    guard: str
    value: float
    """In the unit that `metrics.GUARDS` names."""
    fault: str | None = None
    """One sentence, what happened and what to do, where the run has to end."""


class Guard(Protocol):
    """Looks at events; it may remember what it saw, and raises nothing."""

    def look(self, event: Event, /) -> Iterable[Reading]:
        """What it measures in an event; nothing in one that does not concern it."""


class GuardCallback:
    """Several guards at once: an observer that reads them, and one that ends the run."""

    def __init__(self, guards: Sequence[Guard]) -> None:
        self._guards = guards
        self.readings: tuple[Reading, ...] = ()
        """Of the last event that is no batch."""

    def __call__(self, event: Event) -> None:
        """Read every guard; to be told first, so that the record holds what they saw."""
        if not isinstance(event, BatchEnded):
            self.readings = tuple(
                reading for guard in self._guards for reading in guard.look(event)
            )

    def values(self) -> dict[str, float]:
        """What was measured, by guard."""
        return {reading.guard: reading.value for reading in self.readings}

    def enforce(self, event: Event) -> None:
        """End the run at the first fault; to be told after those who record.

        Raises:
            TrainingAborted: With the guard's name and sentence.
        """
        del event
        for reading in self.readings:
            if reading.fault is not None:
                raise TrainingAborted(reading.fault, guard=reading.guard)
