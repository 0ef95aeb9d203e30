"""Finds trials whose worker is gone, and gives them back; any number may look at once."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from optuna.trial import TrialState

from risexp.core.failpoint import failpoint
from risexp.hpo.store.leases import RENEW_S, Attempt, End, Lease, LeaseOwner, Leases, LeaseSnapshot
from risexp.hpo.store.patient_storage import Listed
from risexp.hpo.studies.study import StudyRef, run_id
from risexp.hpo.trials.requeue import MOST_DEATHS, Became, requeue

NOBODY: Final = LeaseOwner("nobody", "", 0, "")
"""Owner of a trial that runs without a lease, for as long as one may still appear."""


@dataclass(frozen=True)
class ReapedTrial:
    """A trial that was found without its worker."""

    number: int
    became: Became
    lease: Lease | None
    """Of the attempt that died; None where a reaper died after burying it."""


class Reaper:
    """Looks, time and again, for leases that are over.

    A lease that is over may be one whose owner could not renew it, the database being away. So it
    is taken only where it has been seen for a while, by looks that were all answered in time.
    """

    def __init__(
        self,
        leases: Leases,
        study: StudyRef,
        patience_s: float = RENEW_S,
        most_deaths: int = MOST_DEATHS,
    ) -> None:
        self._storage = leases.store.storage
        self._study = study
        self._leases = leases
        self._patience_s = patience_s
        self._most = most_deaths
        self._since: dict[Lease, float] = {}
        self._looked_at: float | None = None

    def look(self) -> tuple[ReapedTrial, ...]:
        """Give back what nobody works on; the worker or a timer calls it every few seconds."""
        look = self._leases.look()
        living = {attempt.lease.trial_id for attempt in look.living}
        running = self._storage.list_trials(self._study.id, (TrialState.RUNNING,))
        found = [self._end(attempt, self._leases.bury, "died") for attempt in self._over(look)]
        found += [self._adopt(each, look.now) for each in running if each.trial_id not in living]
        return tuple(each for each in found if each is not None)

    def abandon(self, owner: str, how: End = "died") -> tuple[ReapedTrial, ...]:
        """Give back at once what a worker held; only for whoever saw its process end."""
        held = [each for each in self._leases.look().living if each.lease.owner == owner]
        found = [self._end(attempt, self._leases.end, how) for attempt in held]
        return tuple(each for each in found if each is not None)

    def _over(self, look: LeaseSnapshot) -> list[Attempt]:
        """Leases that are over, and whose owners have had time to renew them."""
        gap_s = look.now - (look.now if self._looked_at is None else self._looked_at)
        before = self._since if 0.0 <= gap_s <= self._leases.ttl_s / 2.0 else {}
        self._looked_at = look.now
        self._since = {each.lease: before.get(each.lease, look.now) for each in look.living}
        return [
            each
            for each in look.living
            if each.expires_at <= look.now
            and look.now - self._since[each.lease] >= self._patience_s
        ]

    def _end(
        self, attempt: Attempt, end: Callable[[Lease, End], bool], how: End
    ) -> ReapedTrial | None:
        """End an attempt, and give its trial back; None where another one does it."""
        trial = self._storage.get_trial(attempt.lease.trial_id)
        if trial.state.is_finished():
            # It died between telling the study and ending its attempt.
            end(attempt.lease, "finished")
            return None
        if not end(attempt.lease, how):
            return None
        failpoint("reap.buried")
        became = requeue(self._leases, attempt.lease.trial_id, self._most)
        return ReapedTrial(trial.number, became, attempt.lease)

    def _adopt(self, running: Listed, now: float) -> ReapedTrial | None:
        """A trial that runs without a lease: somebody died half-way, or another tool started it."""
        attempts = self._leases.attempts(running.trial_id)
        if not attempts:
            run = run_id(self._study.name, running.number)
            self._leases.take(running.trial_id, NOBODY, run, 2.0 * self._leases.ttl_s)
            failpoint("reap.adopted")
            return None
        ended_at = attempts[-1].ended_at
        if ended_at is None or now - ended_at < self._leases.ttl_s:
            return None
        return ReapedTrial(
            running.number, requeue(self._leases, running.trial_id, self._most), None
        )
