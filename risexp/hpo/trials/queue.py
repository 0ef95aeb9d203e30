"""The queue of a study's trials, from which workers claim one after another."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from optuna.trial import TrialState

from risexp.core.failpoint import failpoint
from risexp.errors import EnvironmentFailed
from risexp.hpo.store.leases import TTL_S, Lease, LeaseOwner, Leases
from risexp.hpo.store.patient_storage import Listed
from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.study import StudyRef, run_id
from risexp.hpo.trials.claim import Claim

_FEW: Final = 16
"""Waiting trials that are listed first; all of them only if other workers lease these."""
_MOST_FAILURES: Final = 5
"""Failures of the environment, in one trial here, after which this worker leaves it to others."""


class Queue:
    """One worker's access to a study."""

    def __init__(
        self,
        store: StudyStore,
        study: StudyRef,
        sampler: BaseSampler,
        pruner: BasePruner,
        ttl_s: float = TTL_S,
    ) -> None:
        self.leases = Leases(store, study.uid, ttl_s)
        self._store = store
        self._study = study
        self._sampler = sampler
        self._pruner = pruner
        self._failed = Counter[int]()

    def claim(self, owner: LeaseOwner) -> Claim | None:
        """Claim the first waiting trial; None if none waits now, though some may be requeued.

        Raises:
            EnvironmentFailed: Only trials wait whose environment has failed here again and again.
        """
        # Thousands may wait. Those that failed here are tried last, so they must not be all.
        few = _FEW + len(self._failed)
        for most in (few, None):
            waiting = self._store.storage.list_trials(self._study.id, (TrialState.WAITING,), most)
            claim = self._first(waiting, owner)
            if claim is not None or len(waiting) < few:
                return claim
        return None

    def put_last(self, trial_id: int) -> None:
        """Claim a trial after all others, since the environment failed it here."""
        self._failed[trial_id] += 1

    def has_waiting(self) -> bool:
        """Whether a trial waits."""
        return bool(self._store.storage.list_trials(self._study.id, (TrialState.WAITING,), most=1))

    def is_done(self) -> bool:
        """Whether no trial waits or runs."""
        return not self._store.storage.list_trials(
            self._study.id, (TrialState.WAITING, TrialState.RUNNING), most=1
        )

    def _first(self, waiting: Sequence[Listed], owner: LeaseOwner) -> Claim | None:
        """Claim the first of these trials that no other worker leases."""
        tried = [trial for trial in waiting if self._failed[trial.trial_id] < _MOST_FAILURES]
        if waiting and not tried:
            raise EnvironmentFailed(
                f"{len(waiting)} trials wait, and each has failed {_MOST_FAILURES} times here for "
                "want of its environment: see the log; they wait for another machine"
            )
        for trial in sorted(tried, key=lambda each: self._failed[each.trial_id]):
            run = run_id(self._study.name, trial.number)
            lease = self.leases.take(trial.trial_id, owner, run)
            if lease is None:
                continue
            failpoint("claim.leased")
            if self._begins(lease):
                return Claim(self._handle(), self.leases, lease, run)
        return None

    def _begins(self, lease: Lease) -> bool:
        """Set a leased trial running.

        The lease decides who owns it: on an embedded database Optuna says yes to several workers
        at once, and says no to a worker that asks again after a lost answer.
        """
        try:
            self._store.storage.set_trial_state_values(lease.trial_id, TrialState.RUNNING)
        except UpdateFinishedTrialError:
            # It was finished after it was listed.
            self.leases.end(lease, "void")
            return False
        failpoint("claim.running")
        return self.leases.renew(lease)

    def _handle(self) -> optuna.Study:
        """A new study object for every trial: an old one would show the sampler old trials."""
        return optuna.load_study(
            study_name=self._study.name,
            storage=self._store.storage,
            sampler=self._sampler,
            pruner=self._pruner,
        )
