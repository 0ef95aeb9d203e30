"""A claimed trial: suggest, report, finish or release it, each under its lease."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, Literal, TypeVar

from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from risexp.core.failpoint import failpoint
from risexp.errors import EnvironmentFailed, TrainingAborted
from risexp.hpo.store.leases import Fenced, Lease, Leases
from risexp.hpo.studies.study import REASON, STATES
from risexp.hpo.trials.reaper import requeue
from risexp.hpo.trials.trial_result import NON_FINITE, TrialResult

T = TypeVar("T")
Written = Literal["written", "known", "different"]

_STATES: Final = {word: state for state, word in STATES.items()}
_DRAWS: Final = 3


class Claim:
    """A trial that only this process may write, for as long as its lease is renewed.

    Every method makes sure of the lease before it writes, and raises `Fenced` if it is lost.
    """

    def __init__(self, study: Study, leases: Leases, lease: Lease, run_id: str) -> None:
        self.lease = lease
        self.run_id = run_id
        self._study = study
        self._leases = leases
        self._storage = leases.store.storage
        self._trial = Trial(study, lease.trial_id)
        self._reports = dict(self._stored().intermediate_values)

    @property
    def number(self) -> int:
        """Number of the trial in its study."""
        return self._trial.number

    @property
    def attempt(self) -> int:
        """Number of the attempt, counted from 1."""
        return self.lease.attempt

    @property
    def reports(self) -> Mapping[int, float]:
        """Scores that this and earlier attempts reported, by step."""
        return dict(self._reports)

    def suggest(self, draw: Callable[[Trial], T]) -> T:
        """Draw all parameters at once; those that an earlier attempt drew stay.

        Args:
            draw: Suggests every parameter. It may be called again.
        """
        for _ in range(_DRAWS):
            with self._writing():
                drawn = draw(self._trial)
            stored = self._stored().params
            if self._trial.params.items() <= stored.items():
                failpoint("suggest.drawn")
                self._assure()
                self._leases.record(self.lease, stored)
                failpoint("suggest.recorded")
                return drawn
            # A worker that lost this trial drew too, and the first value stays.
            self._trial = Trial(self._study, self.lease.trial_id)
        raise EnvironmentFailed(f"the parameters of trial {self.number} change while it draws them")

    def report(self, step: int, value: float) -> Written:
        """Report the score of a step; no step is written twice.

        Returns:
            `known` if it was reported before, `different` if with another score, which stays.

        Raises:
            Fenced: Another worker has the trial.
            TrainingAborted: The score is not a finite number.
        """
        if not math.isfinite(value):
            raise TrainingAborted(f"the score of step {step} is {value}", guard=NON_FINITE)
        if step in self._reports:
            return "known" if self._reports[step] == value else "different"
        with self._writing():
            failpoint("report.renewed")
            self._trial.report(value, step)
        self._reports[step] = value
        failpoint("report.written")
        return "written"

    def should_prune(self) -> bool:
        """Whether the pruner would end the trial now."""
        return self._trial.should_prune()

    def note(self, key: str, value: object) -> None:
        """Set an attribute of the trial, e.g. a link."""
        with self._writing():
            self._storage.set_trial_user_attr(self.lease.trial_id, key, value)

    def finish(self, result: TrialResult) -> None:
        """Write the trial's result; after that it cannot be written any more."""
        with self._writing():
            failpoint("finish.renewed")
            before = self._stored()
            self._describe(result, before)
            failpoint("finish.noted")
            self._tell(result, before)
            failpoint("finish.told")
        self._leases.end(self.lease, "finished")

    def release(self, how: Literal["released", "environment"] = "released") -> None:
        """Put the trial back into the queue after a signal, or because the environment failed.

        The trial is not at fault, so this counts as no death.
        """
        with self._writing():
            failpoint("release.renewed")
            self._storage.set_trial_state_values(self.lease.trial_id, TrialState.WAITING)
            failpoint("release.waiting")
        self._leases.end(self.lease, how)

    def hang(self) -> None:
        """Put the trial back from another thread because training hangs: it counts as a death.

        It is tried once: a reaper does the rest.
        """
        leases = self._leases.once()
        if leases.end(self.lease, "hung"):
            requeue(leases, self.lease.trial_id)

    def _assure(self) -> None:
        self._leases.assure(self.lease)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Make sure of the lease; a process that is stopped afterwards may still write late."""
        self._assure()
        try:
            yield
        except UpdateFinishedTrialError:
            self._leases.end(self.lease, "finished")
            raise Fenced(f"trial {self.number} is finished already") from None

    def _stored(self) -> FrozenTrial:
        return self._storage.get_trial(self.lease.trial_id)

    def _describe(self, result: TrialResult, before: FrozenTrial) -> None:
        """Write reason and constraints, also as attributes, which the dashboard shows."""
        trial_id = self.lease.trial_id
        for name, value in result.constraints.items():
            if name not in before.constraints:
                self._trial.set_constraint(name, value)
            self._storage.set_trial_user_attr(trial_id, f"c/{name}", value)
        self._storage.set_trial_user_attr(trial_id, REASON, result.reason)

    def _tell(self, result: TrialResult, before: FrozenTrial) -> None:
        if before.state == TrialState.WAITING:
            # A reaper that was stopped for long has requeued it; the lease decides who owns it.
            self._storage.set_trial_state_values(self.lease.trial_id, TrialState.RUNNING)
        state = _STATES[result.state]
        try:
            self._study.tell(self._trial, result.value, state)
        except (UpdateFinishedTrialError, ValueError):
            # The answer to our own call was lost, or another worker's result came first.
            after = self._stored()
            if after.state != state or result.value not in {None, after.value}:
                kind = UpdateFinishedTrialError if after.state.is_finished() else Fenced
                raise kind(f"trial {self.number} is {after.state.name} already") from None
