"""A worker: claims one trial after another until none is left, and tells the study how each ended.

Workers are equal and hold nothing that the store does not have. Whatever ends one, its trial goes
on under its own number elsewhere.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

from optuna.trial import FrozenTrial, TrialState
from pydantic import JsonValue

from risexp.config.layers import Loaded
from risexp.hpo.search.pruners import build_pruner
from risexp.hpo.search.pruning import Pruning
from risexp.hpo.search.pruning_callback import HEARING, PruningCallback
from risexp.hpo.search.samplers import build_sampler
from risexp.hpo.search.suggest import suggest
from risexp.hpo.store.leases import RENEW_S, Fenced, LeaseOwner
from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.study import StudyRef, end_of
from risexp.hpo.trials.circuit_breaker import end_if_failing
from risexp.hpo.trials.claim import Claim
from risexp.hpo.trials.heartbeat import Heartbeat
from risexp.hpo.trials.lease_guard import LeaseGuard
from risexp.hpo.trials.periodic_thread import PeriodicThread
from risexp.hpo.trials.queue import Queue
from risexp.hpo.trials.reaper import Reaper
from risexp.hpo.trials.run_result import trial_result
from risexp.hpo.trials.time_limits import TimeLimit, limit_of, spent_s
from risexp.runs.outcome import EndRun, Outcome, failed
from risexp.space.study_spec import StudySpec
from risexp.training.events import EpochEnded, Event

STOPPED: Final = "stopped"
"""Reason of an attempt that ended because its study did."""
FENCED: Final = "fenced"
"""Reason of an attempt that had lost its lease: its trial is no longer its own."""
_SIGNALLED: Final = ("released", "interrupted")
_POLL_S: Final = 2.0
"""How often a worker without a trial looks for one."""


@dataclass(frozen=True)
class Job:
    """One attempt at a trial, for whoever trains it."""

    study: str
    number: int
    attempt: int
    run_id: str
    loaded: Loaded
    values: Mapping[str, JsonValue]
    """What the search chose, by field."""
    fence: LeaseGuard
    """To be told before all others; nothing is written past it."""
    hearing: PruningCallback
    """To be told with the recorders, and to be enforced with those that may end a run."""
    stopping: "Stopping"
    """To be told with those that may end a run."""
    limit: TimeLimit
    """To be told with those that may end a run."""
    hung: Callable[[], object]
    """To be called, from any thread, by whoever ends a process in which nothing happens."""


@dataclass(frozen=True)
class JobResult:
    """How an attempt ended."""

    outcome: Outcome
    value: float | None
    """k_loc of the checkpoint that the run keeps; None where it keeps none."""


Train = Callable[[Job], JobResult]


class WorkerMessages(Protocol):
    """Where a worker says in sentences what it does."""

    def __call__(self, sentence: str, /) -> None:
        """Say it."""


class Stopping:
    """An observer that releases a trial at the end of an epoch once its study has ended."""

    def __init__(self, store: StudyStore, study: StudyRef) -> None:
        self._store = store
        self._study = study

    def __call__(self, event: Event) -> None:
        """Ask the store.

        Raises:
            EndRun: The study has ended, for whatever reason.
        """
        if not isinstance(event, EpochEnded):
            return
        end = end_of(self._store, self._study)
        if end is not None:
            said = f"study {self._study.name} ended: {end.reason}; the trial waits"
            raise EndRun(Outcome("released", STOPPED, said, 0, resumable=True))


class Worker:
    """One process's work on a study."""

    def __init__(
        self,
        store: StudyStore,
        study: StudyRef,
        charter: StudySpec,
        owner: LeaseOwner,
        train: Train,
    ) -> None:
        """Be ready to work.

        Args:
            store: Where the study is.
            study: What is searched.
            charter: Of the study.
            owner: This process; no other worker ever has its id.
            train: Trains a job and says how it ended; whatever it raises fails the trial.
        """
        self._store = store
        self._study = study
        self._charter = charter
        self._owner = owner
        self._train = train
        self._pruning = Pruning.of(charter)
        sampler = build_sampler(charter, owner.id, 0)
        self._queue = Queue(store, study, sampler, build_pruner(self._pruning))
        self._reaper = Reaper(self._queue.leases, study)
        self._idle = threading.Event()

    def run(self, say: WorkerMessages) -> int:
        """Work until nothing is left, the study has ended, or a signal came.

        Returns:
            The exit code: 0, or that of the signal.

        Raises:
            EnvironmentFailed: The store was away for too long.
        """
        try:
            with PeriodicThread("reaper", RENEW_S, self._reaper.look):
                return self._work(say)
        finally:
            # Nothing is held unless something was raised.
            self._reaper.abandon(self._owner.id)

    def _work(self, say: WorkerMessages) -> int:
        while True:
            end = end_of(self._store, self._study)
            if end is not None:
                say(f"study {self._study.name} ended: {end.reason}")
                return 0
            claim = self._queue.claim(self._owner)
            if claim is not None:
                asked_to_end = self._attempt(claim, say)
                if asked_to_end:
                    return asked_to_end
            elif self._queue.standing().over:
                return 0
            else:
                self._idle.wait(_POLL_S)

    def _attempt(self, claim: Claim, say: WorkerMessages) -> int:
        """Train a trial, and tell its study how that ended.

        Returns:
            The exit code of a signal that ended it, or 0.
        """
        say(f"trial {claim.number}, attempt {claim.attempt}: run {claim.run_id}")
        hearing = PruningCallback(claim, self._pruning, self._peers)
        with Heartbeat(self._queue.leases, claim.lease) as keeper:
            try:
                result = self._result(claim, keeper, hearing)
                say(f"trial {claim.number}: {result.outcome.sentence}")
                if result.outcome.traceback is not None:
                    say(result.outcome.traceback)
                self._tell(claim, result, hearing)
            except Fenced as lost:
                say(f"trial {claim.number}: {lost}")
                return 0
        signalled = result.outcome.status in _SIGNALLED and result.outcome.reason != FENCED
        return result.outcome.exit_code if signalled else 0

    def _result(self, claim: Claim, keeper: Heartbeat, hearing: PruningCallback) -> JobResult:
        """What came of a trial; an error of its own is one trial's, not the worker's."""
        try:
            values = claim.suggest(lambda trial: suggest(self._charter, trial))
            return self._train(self._job(claim, keeper, values, hearing))
        except Fenced:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it was, the study is told
            return JobResult(failed(error), None)
        except BaseException:
            # A signal while nothing was trained: the trial did not die of it.
            claim.release()
            raise

    def _job(
        self,
        claim: Claim,
        keeper: Heartbeat,
        values: Mapping[str, JsonValue],
        hearing: PruningCallback,
    ) -> Job:
        return Job(
            study=self._study.name,
            number=claim.number,
            attempt=claim.attempt,
            run_id=claim.run_id,
            loaded=self._charter.resolve(values),
            values=values,
            fence=LeaseGuard(keeper),
            hearing=hearing,
            stopping=Stopping(self._store, self._study),
            limit=self._limit(claim),
            hung=partial(_hung, claim, keeper),
        )

    def _limit(self, claim: Claim) -> TimeLimit:
        attempts = self._queue.leases.attempts(claim.lease.trial_id)
        return TimeLimit(limit_of(self._store, self._study), spent_s(attempts))

    def _tell(self, claim: Claim, result: JobResult, hearing: PruningCallback) -> None:
        outcome = result.outcome
        if outcome.reason == FENCED:
            return
        claim.note(HEARING, self._account(claim, hearing))
        ending = trial_result(outcome, result.value)
        if ending is not None:
            claim.finish(ending)
        elif outcome.status == "failed":
            claim.give_up()
        else:
            claim.release()
        if self._stored(claim).state == TrialState.FAIL:
            end_if_failing(self._store, self._study)

    def _account(self, claim: Claim, hearing: PruningCallback) -> dict[str, int]:
        """How the trial was heard, in this attempt and in earlier ones."""
        before = self._stored(claim).user_attrs.get(HEARING, {})
        return {name: before.get(name, 0) + more for name, more in hearing.account().items()}

    def _stored(self, claim: Claim) -> FrozenTrial:
        return self._store.storage.get_trial(claim.lease.trial_id)

    def _peers(self) -> list[FrozenTrial]:
        return self._store.storage.get_all_trials(self._study.id, deepcopy=False)


def _hung(claim: Claim, keeper: Heartbeat) -> None:
    # Should what hangs go on after all, it comes too late to write.
    keeper.revoke()
    claim.hang()
