"""Callbacks that write the journal: one row per epoch, and the confusion of source counts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from risexp.evaluation.scene_scores import Confusion, Confusions
from risexp.runs.journal import STARTED
from risexp.runs.journal_writer import Journal
from risexp.runs.machine import Usage
from risexp.runs.metrics import epoch_values
from risexp.tracking.upload_state import CONFUSION
from risexp.training.events import EpochEnded, Event, RunEnded, RunStarted

Values = Callable[[], Mapping[str, float]]


@dataclass
class LastConfusions:
    """Holds the confusions of the last validation until the epoch ends."""

    _last: Confusions | None = field(default=None, init=False)

    def see(self, confusions: Confusions) -> None:
        """Hold them in place of earlier ones."""
        self._last = confusions

    def take(self) -> Confusions | None:
        """The confusions since the last call; None if there are none."""
        last, self._last = self._last, None
        return last


@dataclass
class Recorder:
    """Writes a row per epoch with guards and machine usage; it comes right after the guards.

    The confusions of a validation are a note after the row of its epoch.
    """

    journal: Journal
    guards: Values
    """The values of the guards in this epoch, by name."""
    usage: Values = field(default_factory=Usage)
    """Processor and memory of the epoch, by name."""
    confusions: LastConfusions = field(default_factory=LastConfusions)
    _step: int = field(default=0, init=False)

    def __call__(self, event: Event) -> None:
        """Write a row or a note."""
        match event:
            case RunStarted(epochs=epochs, done=done):
                self._step = done
                details = {"epochs": epochs, "done": done, "guards": dict(self.guards())}
                self.journal.note(done, STARTED, details)
                if gap := self.journal.missing(done):
                    self.journal.note(done, "gap", {"epochs": gap})
            case EpochEnded(plan=plan):
                self._step = plan.epoch
                self.journal.write(plan.epoch, self._values(event))
                if (confusions := self.confusions.take()) is not None:
                    bins = {name: _tables(table) for name, table in confusions.by_snr.items()}
                    details = {**_tables(confusions.whole), "by_snr": bins}
                    self.journal.note(plan.epoch, CONFUSION, details)
            case RunEnded(reason=reason):
                self.journal.note(self._step, "ended", {"reason": reason})

    def _values(self, ended: EpochEnded) -> dict[str, float]:
        return {
            **epoch_values(ended),
            **{f"guard/{name}": value for name, value in self.guards().items()},
            **{f"sys/{name}": value for name, value in self.usage().items()},
        }


def _tables(confusion: Confusion) -> dict[str, list[object]]:
    return {name: table.tolist() for name, table in vars(confusion).items()}
