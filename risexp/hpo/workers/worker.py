"""A worker process: claims trials one after another and records how each ended.

Workers are equal and hold no state that the store lacks. If one dies, its trial continues under
the same number in another worker.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

from optuna.trial import FrozenTrial, TrialState
from pydantic import JsonValue

from risexp.callbacks.run_loop import Callbacks
from risexp.callbacks.signals import SignalCallback, ignored_signals
from risexp.config.run import RunConfig
from risexp.core.threads import PeriodicThread
from risexp.errors import EnvironmentFailed
from risexp.hpo.search.parameters import suggest
from risexp.hpo.search.pruners import build_pruner
from risexp.hpo.search.pruning_callback import PRUNING_COUNTS, PruningCallback
from risexp.hpo.search.samplers import build_sampler
from risexp.hpo.search.warmup import Pruning
from risexp.hpo.store.leases import RENEW_S, End, Fenced, LeaseOwner
from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.hosts import HostNote
from risexp.hpo.studies.study import StudyRef, end_of
from risexp.hpo.trials.claim import Claim
from risexp.hpo.trials.heartbeat import FENCED, Heartbeat, LeaseGuard
from risexp.hpo.trials.limits import StudyEndCheck, TimeLimit, end_if_failing, limit_of, spent_s
from risexp.hpo.trials.queue import Queue
from risexp.hpo.trials.reaper import Reaper, forget_exit, note_exit
from risexp.hpo.trials.trial_result import trial_result
from risexp.runs.outcome import BROKEN_DEVICE, Outcome, StopNow, failed

_SIGNALLED: Final = ("released", "interrupted")
_POLL_S: Final = 2.0
"""Time between two looks for a waiting trial."""
_LONGEST_S: Final = 60.0
"""Longest wait after the environment has failed."""

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
HomeFault = Callable[[], str | None]
"""Why runs cannot be written here, in a sentence; None if they can."""


class Worker:
    """Works on one study in this process."""

    def __init__(
        self,
        store: StudyStore,
        study: StudyRef,
        owner: LeaseOwner,
        train: Train,
        signals: SignalCallback,
        home_fault: HomeFault = lambda: None,
    ) -> None:
        """Prepare queue, sampler and pruner.

        Args:
            store: Where the study is.
            study: What is worked on.
            owner: This process.
            train: Trains a trial; an error that it raises fails the trial.
            signals: Entered by this process, which the first signal never interrupts.
            home_fault: Asked before a claim where a trial waits.
        """
        self._store = store
        self._study = study
        self._owner = owner
        self._train = train
        self._signals = signals
        self._host = HostNote(store, study, owner.host)
        self._home_fault = home_fault
        self._pruning = Pruning.of(study.spec)
        sampler = build_sampler(study.spec, owner.id)
        self._queue = Queue(store, study, sampler, build_pruner(self._pruning))
        # Its thread repeats its calls anyway, and must not hold up the end of this process.
        self._reaper = Reaper(self._queue.leases.once(), study)
        self._failures = 0
        """Attempts in a row that the environment ended."""

    def run(self, say: Say) -> int:
        """Work until no trial is left, the study has ended, or a signal came.

        Returns:
            The exit code: 0, or that of the signal.
        """
        try:
            with PeriodicThread("reaper", RENEW_S, self._reaper.look) as reaper:
                return self._work(say, reaper)
        except StopNow as stop:
            self._give_back("released")
            return stop.outcome.exit_code
        except BaseException as error:
            self._give_back(_end_by(error))
            raise

    def _give_back(self, how: End) -> None:
        """End what this worker holds; without an answer its lease runs out, and counts no death."""
        with ignored_signals():
            if how != "died":
                note_exit(self._owner.id)
            with suppress(Exception):
                self._reaper.abandon(self._owner.id, how)
                forget_exit(self._owner.id)

    def _work(self, say: Say, reaper: PeriodicThread) -> int:
        while (signalled := self._signals.outcome()) is None:
            end = end_of(self._store, self._study)
            if reaper.error is not None:
                raise reaper.error
            if end is not None:
                say(f"study {self._study.name} ended: {end.reason}")
            if end is not None or self._queue.is_done():
                # Others of this host may have done the rest while this worker waited.
                self._host.set(None)
                return 0
            claim = self._queue.claim(self._owner) if self._may_claim(say) else None
            if claim is None:
                self._signals.wait(self._pause_s)
                continue
            exit_code = self._attempt(claim, say)
            if exit_code:
                return exit_code
        return signalled.exit_code

    def _may_claim(self, say: Say) -> bool:
        """Whether a trial waits that this host can keep; the study is told if it cannot."""
        # To look is to write, so an idle worker does not, unless its home was at fault.
        if self._host.fault is None and not self._queue.has_waiting():
            return False
        fault = self._home_fault()
        if self._host.set(fault):
            say(f"it claims no trial: {fault}" if fault else "it claims trials again")
        if fault is not None:
            self._failures += 1
        return fault is None

    @property
    def _pause_s(self) -> float:
        """Time until the next look: longer while the environment fails."""
        return min(_POLL_S * 2.0 ** min(self._failures, 8), _LONGEST_S)

    def _attempt(self, claim: Claim, say: Say) -> int:
        """Train a trial and record its result.

        Returns:
            The exit code of a signal that ended it, or of a device that failed; else 0.
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
        broken = result.outcome.reason in BROKEN_DEVICE
        if result.outcome.status == "failed" and result.outcome.resumable:
            self._failures += 1
            # The process that follows does not know how often its device has failed.
            self._signals.wait(_LONGEST_S if broken else self._pause_s)
        elif result.outcome.reason != FENCED:
            self._failures = 0
        if broken:
            return result.outcome.exit_code
        signalled = result.outcome.status in _SIGNALLED and result.outcome.reason != FENCED
        if signalled:
            self._signals.outcome()  # a signal that the run heard, and passed on
        return result.outcome.exit_code if signalled else 0

    def _result(
        self, claim: Claim, heartbeat: Heartbeat, pruning_callback: PruningCallback
    ) -> JobResult:
        """The result of training a trial; its error fails the trial, not the worker."""
        if (signalled := self._signals.outcome()) is not None:
            return JobResult(signalled, None)
        try:
            values = claim.suggest(lambda trial: suggest(self._study.spec, trial))
            return self._train(self._job(claim, heartbeat, values, pruning_callback))
        except Fenced:
            raise
        except Exception as error:  # noqa: BLE001 - every error is recorded in the study
            return JobResult(failed(error), None)

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
            # Signals that came while the run was built.
            enders=(pruning_callback.enforce, study_end, time_limit, self._signals),
            write_guard=lease_guard.write_guard,
            before_begin=lease_guard.check,
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
            claim.release("environment")
            self._queue.put_last(claim.lease.trial_id)
            self._host.set(outcome.sentence)
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


def _end_by(error: BaseException) -> End:
    """How the attempt of a worker ended that an error ended outside training."""
    if isinstance(error, EnvironmentFailed | OSError):
        return "environment"
    return "died" if isinstance(error, Exception) else "released"
