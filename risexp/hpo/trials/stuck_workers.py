"""Finds processes of one's own that hold what they can no longer use: a lease that is over."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from risexp.hpo.store.leases import TTL_S, Leases

_STOPPED: Final = ("T", "t")


class StuckWorkers:
    """Looks, time and again, for workers whose leases are over and that do not end.

    A worker that is stopped amid a write keeps an embedded database locked: nobody renews a lease
    any more, and no reaper can take its trial. It is found though nothing can be written. One that
    is not stopped may only wait for the database, and is given as long as a lease lasts.
    """

    def __init__(
        self,
        leases: Leases,
        patience_s: float = TTL_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._leases = leases
        self._patience_s = patience_s
        self._clock = clock
        self._since: dict[str, float] = {}

    def look(self, pids: Mapping[str, int]) -> list[str]:
        """Owners that are to be ended, of some with their processes on this machine."""
        over, now = self._leases.over(pids), self._clock()
        self._since = {owner: self._since.get(owner, now) for owner in sorted(over)}
        return [
            owner
            for owner, since in self._since.items()
            if is_stopped(pids[owner]) or now - since >= self._patience_s
        ]


def is_stopped(pid: int) -> bool:
    """Whether the system has stopped a process; no where it does not tell."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    # Its name, in brackets before the state, may hold anything.
    return stat.rpartition(")")[2].split()[0] in _STOPPED
