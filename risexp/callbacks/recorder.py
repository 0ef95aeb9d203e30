"""Writes a run into its journal: an epoch a row, with what the guards and the machine say."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from risexp.runs.journal import STARTED, Journal
from risexp.runs.machine import Usage
from risexp.runs.metrics import epoch_values
from risexp.training.events import EpochEnded, Event, RunEnded, RunStarted

Values = Callable[[], Mapping[str, float]]


@dataclass
class Recorder:
    """The first to be told an epoch, once its guards were read."""

    journal: Journal
    guards: Values
    """What each guard measured in this epoch, by its name."""
    usage: Values = field(default_factory=Usage)
    """What the epoch took of the machine, by name."""
    _step: int = field(default=0, init=False)

    def __call__(self, event: Event) -> None:
        """Write it down.

        Raises:
            EnvironmentFailed: The disk is full or forbidden.
        """
        match event:
            case RunStarted(epochs=epochs, done=done):
                self._step = done
                told = {"epochs": epochs, "done": done, "guards": dict(self.guards())}
                self.journal.note(done, STARTED, told)
                if gap := self.journal.missing(done):
                    self.journal.note(done, "gap", {"epochs": gap})
            case EpochEnded(plan=plan):
                self._step = plan.epoch
                self.journal.write(plan.epoch, self._values(event))
            case RunEnded(reason=reason):
                self.journal.note(self._step, "ended", {"reason": reason})

    def _values(self, ended: EpochEnded) -> dict[str, float]:
        return {
            **epoch_values(ended),
            **{f"guard/{name}": value for name, value in self.guards().items()},
            **{f"sys/{name}": value for name, value in self.usage().items()},
        }
