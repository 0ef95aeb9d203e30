"""Ends the training of a trial that somebody else has, before it writes another word."""

from collections.abc import Callable
from typing import TypeVar

from risexp.hpo.store.leases import Fenced
from risexp.hpo.trials.heartbeat import Heartbeat
from risexp.runs.outcome import EndRun, Outcome
from risexp.training.events import Event, RunEnded

T = TypeVar("T")


class LeaseGuard:
    """An observer to be told before all others; it also shuts up those who would write."""

    def __init__(self, keeper: Heartbeat) -> None:
        self._keeper = keeper

    def __call__(self, event: Event) -> None:
        """Make sure of the lease.

        Raises:
            EndRun: It is lost; the outcome is `fenced`.
        """
        if isinstance(event, RunEnded):
            return
        try:
            self._keeper.check()
        except Fenced as lost:
            raise EndRun(fenced(str(lost))) from None

    def write_guard(self, tell: Callable[[T], object]) -> Callable[[T], None]:
        """The same observer or record, told nothing unless the lease is sure.

        Between the last event and the record of how the run ended it may be lost as well.
        """

        def told(what: T) -> None:
            try:
                self._keeper.check()
            except Fenced:
                return
            tell(what)

        return told


def fenced(sentence: str) -> Outcome:
    """The end of an attempt whose trial goes on elsewhere."""
    return Outcome("released", "fenced", sentence, Fenced.exit_code, resumable=True)
