"""Keeps a lease while a trial is trained, and knows when it is lost."""

import sys
import time
from collections.abc import Callable
from typing import Final

from risexp.hpo.store.leases import RENEW_S, Fenced, Lease, Leases
from risexp.hpo.trials.periodic_thread import PeriodicThread

_CLOCK: Final = time.CLOCK_BOOTTIME if sys.platform == "linux" else time.CLOCK_MONOTONIC


def uptime() -> float:
    """Seconds that pass also while a process is stopped or its machine asleep."""
    return time.clock_gettime(_CLOCK)


class Heartbeat(PeriodicThread):
    """Renews a lease from a thread of its own while it is entered."""

    def __init__(
        self,
        leases: Leases,
        lease: Lease,
        renew_s: float = RENEW_S,
        clock: Callable[[], float] = uptime,
    ) -> None:
        super().__init__("keeper", renew_s, lambda: self._renew(self._once))
        self.lost = False
        """Whether somebody else has the trial; never false again."""
        self._leases = leases
        self._once = leases.once()
        self._lease = lease
        self._sure_s = leases.ttl_s - renew_s
        self._clock = clock
        self._renewed_at = clock()

    def revoke(self) -> None:
        """Give it up: whoever is still at work here writes nothing more."""
        self.lost = True

    def check(self) -> None:
        """Make sure of the lease; it costs nothing while renewals come through.

        Where none has for nearly a lease's time, e.g. because this process was stopped, it waits
        for the database to say whose the trial is.

        Raises:
            Fenced: Somebody else has it: write nothing more.
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
