"""Which counts a validation took for which, written into the journal: it is no one number."""

from dataclasses import dataclass, field

from risexp.evaluation.counting import Confusion
from risexp.tracking.journal import Journal
from risexp.tracking.spool import CONFUSION
from risexp.training.events import EpochEnded, Event


@dataclass
class LastConfusion:
    """Remembers the confusion of the last validation, for whoever is told of the epoch's end."""

    _seen: Confusion | None = field(default=None, init=False)

    def see(self, confusion: Confusion) -> None:
        """Remember it in place of the one before."""
        self._seen = confusion

    def take(self) -> Confusion | None:
        """What was seen since the last look; None where nothing was."""
        seen, self._seen = self._seen, None
        return seen


@dataclass(frozen=True)
class Confusions:
    """Writes the confusion of every epoch; to be told after the recorder."""

    journal: Journal
    last: LastConfusion

    def __call__(self, event: Event) -> None:
        """Write it down.

        Raises:
            EnvironmentFailed: The disk is full or forbidden.
        """
        if isinstance(event, EpochEnded) and (seen := self.last.take()) is not None:
            tables = {name: table.tolist() for name, table in vars(seen).items()}
            self.journal.note(event.plan.epoch, CONFUSION, tables)
