"""How far a run is, and how long the rest of it will take at its own pace."""

from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic

from risexp.training.events import BatchEnded, EpochEnded, EpochStarted, Event, RunStarted


@dataclass
class Eta:
    """Counts epochs and batches, and the time they take."""

    clock: Callable[[], float] = monotonic
    epochs: int = 0
    """Of the whole run."""
    epoch: int = 0
    """The one under way, or the last one."""
    batch: int = 0
    """Batches done in it."""
    batches: int = 1
    """Of an epoch."""
    _since: float | None = field(default=None, init=False)
    """When the epoch under way began."""
    _finished: int = field(default=0, init=False)
    _took_s: float = field(default=0.0, init=False)

    def __call__(self, event: Event) -> None:
        """Note where the run is."""
        match event:
            case RunStarted(epochs=epochs, done=done, batches=batches):
                self.epochs, self.epoch, self.batches = epochs, done, batches
            case EpochStarted(plan=plan):
                self.epoch, self.batch, self._since = plan.epoch, 0, self.clock()
            case BatchEnded(batch=batch):
                self.batch = batch + 1
            case EpochEnded():
                self._took_s += self._elapsed_s()
                self._finished, self._since = self._finished + 1, None

    def left_s(self) -> float | None:
        """Seconds to the end of the run; None before anything can be said."""
        under_way = self._since is not None
        ahead = self.epochs - self.epoch + under_way
        if self._finished > 0:
            each = self._took_s / self._finished
        elif under_way and self.batch > 0:
            each = self._elapsed_s() * self.batches / self.batch
        else:
            return None
        return max(ahead * each - self._elapsed_s(), 0.0)

    def _elapsed_s(self) -> float:
        return 0.0 if self._since is None else self.clock() - self._since
