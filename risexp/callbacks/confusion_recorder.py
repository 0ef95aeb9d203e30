"""Which counts a validation took for which, written into the journal: it is no one number."""

from dataclasses import dataclass, field

from risexp.evaluation.scene_scores import Confusion, Confusions
from risexp.runs.journal import Journal
from risexp.tracking.upload_state import CONFUSION
from risexp.training.events import EpochEnded, Event


@dataclass
class LastConfusions:
    """Remembers the confusions of the last validation, for whoever is told of the epoch's end."""

    _seen: Confusions | None = field(default=None, init=False)

    def see(self, confusions: Confusions) -> None:
        """Remember them in place of those before."""
        self._seen = confusions

    def take(self) -> Confusions | None:
        """What was seen since the last look; None where nothing was."""
        seen, self._seen = self._seen, None
        return seen


@dataclass(frozen=True)
class ConfusionRecorder:
    """Writes the confusions of every epoch; to be told after the recorder."""

    journal: Journal
    last: LastConfusions

    def __call__(self, event: Event) -> None:
        """Write them down.

        Raises:
            EnvironmentFailed: The disk is full or forbidden.
        """
        if isinstance(event, EpochEnded) and (seen := self.last.take()) is not None:
            bins = {name: _tables(each) for name, each in seen.by_snr.items()}
            details = {**_tables(seen.whole), "by_snr": bins}
            self.journal.note(event.plan.epoch, CONFUSION, details)


def _tables(confusion: Confusion) -> dict[str, list[object]]:
    return {name: table.tolist() for name, table in vars(confusion).items()}
