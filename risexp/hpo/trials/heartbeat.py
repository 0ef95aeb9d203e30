"""Renews a trial's lease during training, and ends the training once the lease is lost."""

import sys
import time
from collections.abc import Callable
from typing import Final, TypeVar

from risexp.core.threads import PeriodicThread
from risexp.hpo.store.leases import RENEW_S, Fenced, Lease, Leases
from risexp.runs.outcome import EndRun, Outcome
from risexp.training.events import Event, RunEnded

T = TypeVar("T")

FENCED: Final = "fenced"
"""Reason of an attempt that lost its lease."""
_CLOCK: Final = time.CLOCK_BOOTTIME if sys.platform == "linux" else time.CLOCK_MONOTONIC


def uptime() -> float:
    """Seconds since boot, counted also while the process is stopped or the machine asleep."""
    return time.clock_gettime(_CLOCK)


class Heartbeat(PeriodicThread):
    """Renews a lease from a background thread while it is entered."""

    def __init__(
        self,
        leases: Leases,
        lease: Lease,
        renew_s: float = RENEW_S,
        clock: Callable[[], float] = uptime,
    ) -> None:
        super().__init__("heartbeat", renew_s, lambda: self._renew(self._once))
        self.lost = False
        """Whether another worker has the trial; never false again."""
        self._leases = leases
        self._once = leases.once()
        self._lease = lease
        self._sure_s = leases.ttl_s - renew_s
        self._clock = clock
        self._renewed_at = clock()

    def revoke(self) -> None:
        """Give up the lease: this process writes nothing more about the trial."""
        self.lost = True

    def check(self) -> None:
        """Make sure of the lease; it costs nothing while renewals succeed.

        If none has for nearly a lease's time, e.g. because this process was stopped, it waits for
        the database to say who has the trial.

        Raises:
            Fenced: Another worker has the trial: write nothing more.
            EnvironmentFailed: The database has been away for too long.
        """
        if self.error is not None:
            raise self.error
        if not self.lost and self._clock() - self._renewed_at > self._sure_s:
            self._renew(self._leases)
        if self.lost:
            raise Fenced(
                f"attempt {self._lease.attempt} has lost its lease: another worker goes on with it"
            )

    def _renew(self, leases: Leases) -> None:
        asked_at = self._clock()
        if leases.renew(self._lease):
            self._renewed_at = max(asked_at, self._renewed_at)
        else:
            self.lost = True


class LeaseGuard:
    """A callback that ends a run whose lease is lost, and blocks what would still be written."""

    def __init__(self, heartbeat: Heartbeat) -> None:
        self._heartbeat = heartbeat

    def __call__(self, event: Event) -> None:
        """Check the lease.

        Raises:
            EndRun: The lease is lost; the outcome is `fenced`.
        """
        if isinstance(event, RunEnded):
            return
        try:
            self._heartbeat.check()
        except Fenced as lost:
            raise EndRun(fenced(str(lost))) from None

    def check(self) -> None:
        """Make sure of the lease.

        Raises:
            Fenced: Another worker has the trial.
        """
        self._heartbeat.check()

    def write_guard(self, write: Callable[[T], object]) -> Callable[[T], None]:
        """The same callback or record, skipped unless the lease is sure.

        The lease may also be lost between the last event and the record of the outcome.
        """

        def guarded(value: T) -> None:
            try:
                self._heartbeat.check()
            except Fenced:
                return
            write(value)

        return guarded


def fenced(sentence: str) -> Outcome:
    """The outcome of an attempt whose trial another worker continues."""
    return Outcome("released", FENCED, sentence, Fenced.exit_code, resumable=True)
