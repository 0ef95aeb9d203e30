"""The queue of a study's trials: a worker takes one, or learns that none waits."""

from dataclasses import dataclass

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from optuna.trial import TrialState

from risexp.core.failpoint import failpoint
from risexp.hpo.store.leases import TTL_S, Lease, LeaseOwner, Leases
from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.study import StudyRef, run_id
from risexp.hpo.trials.claim import Claim


@dataclass(frozen=True)
class Standing:
    """How many trials of a study are where."""

    waiting: int
    running: int
    complete: int
    pruned: int
    failed: int

    @property
    def over(self) -> bool:
        """Whether nothing is left to be done."""
        return self.waiting == self.running == 0


class Queue:
    """One worker's view of a study."""

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

    def claim(self, owner: LeaseOwner) -> Claim | None:
        """Take the first trial that waits; None where none does, though some may come back."""
        for each in self._store.storage.list_trials(self._study.id, (TrialState.WAITING,)):
            run = run_id(self._study.name, each.number)
            lease = self.leases.take(each.trial_id, owner, run)
            if lease is None:
                continue
            failpoint("claim.leased")
            if self._begins(lease):
                return Claim(self._handle(), self.leases, lease, run)
        return None

    def standing(self) -> Standing:
        """How far the study is."""
        states = [each.state for each in self._store.storage.list_trials(self._study.id)]
        return Standing(
            waiting=states.count(TrialState.WAITING),
            running=states.count(TrialState.RUNNING),
            complete=states.count(TrialState.COMPLETE),
            pruned=states.count(TrialState.PRUNED),
            failed=states.count(TrialState.FAIL),
        )

    def _begins(self, lease: Lease) -> bool:
        """Set a leased trial running.

        The lease decides whose it is: on an embedded database Optuna says yes to several at once,
        and says no to whoever asks again after a lost answer.
        """
        try:
            self._store.storage.set_trial_state_values(lease.trial_id, TrialState.RUNNING)
        except UpdateFinishedTrialError:
            # It was listed before it was finished.
            self.leases.end(lease, "void")
            return False
        failpoint("claim.running")
        return self.leases.renew(lease)

    def _handle(self) -> optuna.Study:
        """A new one for every trial: an old one would show the sampler old trials."""
        return optuna.load_study(
            study_name=self._study.name,
            storage=self._store.storage,
            sampler=self._sampler,
            pruner=self._pruner,
        )
