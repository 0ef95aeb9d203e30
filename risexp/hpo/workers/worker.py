"""A worker process: claims trials one after another and records how each ended.

Workers are equal and hold no state that the store lacks. If one dies, its trial continues under
the same number in another worker.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from optuna.trial import FrozenTrial, TrialState
from pydantic import JsonValue

from risexp.callbacks.run_loop import Callbacks
from risexp.config.run import RunConfig
from risexp.core.threads import PeriodicThread
from risexp.hpo.search.parameters import suggest
from risexp.hpo.search.pruners import build_pruner
from risexp.hpo.search.pruning_callback import PRUNING_COUNTS, PruningCallback
from risexp.hpo.search.samplers import build_sampler
from risexp.hpo.search.warmup import Pruning
from risexp.hpo.store.leases import RENEW_S, Fenced, LeaseOwner
from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.study import StudyRef, end_of
from risexp.hpo.trials.claim import Claim
from risexp.hpo.trials.heartbeat import FENCED, Heartbeat, LeaseGuard
from risexp.hpo.trials.limits import StudyEndCheck, TimeLimit, end_if_failing, limit_of, spent_s
from risexp.hpo.trials.queue import Queue
from risexp.hpo.trials.reaper import Reaper
from risexp.hpo.trials.trial_result import trial_result
from risexp.runs.outcome import Outcome, failed

_SIGNALLED: Final = ("released", "interrupted")
_POLL_S: Final = 2.0
"""Time between two looks for a waiting trial."""

Say = Callable[[str], object]


@dataclass(frozen=True)
class Job:
    """One attempt at a trial, and the callbacks of its training."""

    number: int
    attempt: int
    run_id: str
    config: RunConfig
    values: Mapping[str, JsonValue]
    """The searched values, by field."""
    callbacks: Callbacks
    """Guard of the lease, reports to the study, and what may end the attempt."""
    on_hang: Callable[[], object]
    """To be called, from any thread, before a process that hangs is ended."""


@dataclass(frozen=True)
class JobResult:
    """How an attempt ended."""

    outcome: Outcome
    value: float | None
    """k_loc of the checkpoint that the run keeps; None if it keeps none."""


Train = Callable[[Job], JobResult]


class Worker:
    """Works on one study in this process."""

    def __init__(
        self,
        store: StudyStore,
        study: StudyRef,
        owner: LeaseOwner,
        train: Train,
    ) -> None:
        """Prepare queue, sampler and pruner; an error that `train` raises fails its trial."""
        self._store = store
        self._study = study
        self._owner = owner
        self._train = train
        self._pruning = Pruning.of(study.spec)
        sampler = build_sampler(study.spec, owner.id)
        self._queue = Queue(store, study, sampler, build_pruner(self._pruning))
        self._reaper = Reaper(self._queue.leases, study)
        self._idle = threading.Event()

    def run(self, say: Say) -> int:
        """Work until no trial is left, the study has ended, or a signal came.

        Returns:
            The exit code: 0, or that of the signal.
        """
        try:
            with PeriodicThread("reaper", RENEW_S, self._reaper.look):
                return self._work(say)
        finally:
            # This worker holds a trial only if an error was raised.
            self._reaper.abandon(self._owner.id)

    def _work(self, say: Say) -> int:
        while True:
            end = end_of(self._store, self._study)
            if end is not None:
                say(f"study {self._study.name} ended: {end.reason}")
                return 0
            claim = self._queue.claim(self._owner)
            if claim is not None:
                exit_code = self._attempt(claim, say)
                if exit_code:
                    return exit_code
            elif self._queue.is_done():
                return 0
            else:
                self._idle.wait(_POLL_S)

    def _attempt(self, claim: Claim, say: Say) -> int:
        """Train a trial and record its result.

        Returns:
            The exit code of a signal that ended it, or 0.
        """
        say(f"trial {claim.number}, attempt {claim.attempt}: run {claim.run_id}")
        pruning_callback = PruningCallback(claim, self._pruning, self._trials)
        with Heartbeat(self._queue.leases, claim.lease) as heartbeat:
            try:
                result = self._result(claim, heartbeat, pruning_callback)
                say(f"trial {claim.number}: {result.outcome.sentence}")
                if result.outcome.traceback is not None:
                    say(result.outcome.traceback)
                self._record(claim, result, pruning_callback)
            except Fenced as lost:
                say(f"trial {claim.number}: {lost}")
                return 0
        signalled = result.outcome.status in _SIGNALLED and result.outcome.reason != FENCED
        return result.outcome.exit_code if signalled else 0

    def _result(
        self, claim: Claim, heartbeat: Heartbeat, pruning_callback: PruningCallback
    ) -> JobResult:
        """The result of training a trial; its error fails the trial, not the worker."""
        try:
            values = claim.suggest(lambda trial: suggest(self._study.spec, trial))
            return self._train(self._job(claim, heartbeat, values, pruning_callback))
        except Fenced:
            raise
        except Exception as error:  # noqa: BLE001 - every error is recorded in the study
            return JobResult(failed(error), None)
        except BaseException:
            # A signal outside training: it does not count against the trial.
            claim.release()
            raise

    def _job(
        self,
        claim: Claim,
        heartbeat: Heartbeat,
        values: Mapping[str, JsonValue],
        pruning_callback: PruningCallback,
    ) -> Job:
        lease_guard = LeaseGuard(heartbeat)
        attempts = self._queue.leases.attempts(claim.lease.trial_id)
        study_end = StudyEndCheck(self._store, self._study)
        time_limit = TimeLimit(limit_of(self._store, self._study), spent_s(attempts))
        callbacks = Callbacks(
            first=(lease_guard,),
            recorders=(pruning_callback,),
            enders=(pruning_callback.enforce, study_end, time_limit),
            write_guard=lease_guard.write_guard,
        )
        config = self._study.spec.resolve(values).config
        on_hang = partial(_give_back_hung, claim, heartbeat)
        return Job(
            claim.number, claim.attempt, claim.run_id, config, values, callbacks, on_hang=on_hang
        )

    def _record(self, claim: Claim, result: JobResult, pruning_callback: PruningCallback) -> None:
        """Write the result into the study, or put the trial back into the queue."""
        outcome = result.outcome
        if outcome.reason == FENCED:
            return
        before = self._stored(claim).user_attrs.get(PRUNING_COUNTS, {})
        counts = pruning_callback.counts().items()
        claim.note(PRUNING_COUNTS, {name: before.get(name, 0) + more for name, more in counts})
        final = trial_result(outcome, result.value)
        if final is not None:
            claim.finish(final)
        elif outcome.status == "failed":
            claim.give_up()
        else:
            claim.release()
        if self._stored(claim).state == TrialState.FAIL:
            end_if_failing(self._store, self._study)

    def _stored(self, claim: Claim) -> FrozenTrial:
        return self._store.storage.get_trial(claim.lease.trial_id)

    def _trials(self) -> list[FrozenTrial]:
        return self._store.storage.get_all_trials(self._study.id, deepcopy=False)


def _give_back_hung(claim: Claim, heartbeat: Heartbeat) -> None:
    # If the hanging thread continues after all, it must not write.
    heartbeat.revoke()
    claim.hang()
