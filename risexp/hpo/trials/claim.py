"""A trial in one worker's hands: suggest, report, finish or release, each under the lease."""

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
from risexp.hpo.studies.study import REASON
from risexp.hpo.trials.requeue import MOST_DEATHS, requeue
from risexp.hpo.trials.trial_result import NON_FINITE, TrialResult

T = TypeVar("T")
Written = Literal["written", "known", "different"]

_STATES: Final = {
    "complete": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}
_DRAWS: Final = 3


class Claim:
    """A trial that this process alone may write, for as long as its lease is renewed.

    Every method makes sure of the lease before it writes, and raises `Fenced` where it is lost.
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
        """Of the trial in its study."""
        return self._trial.number

    @property
    def attempt(self) -> int:
        """Counted from 1."""
        return self.lease.attempt

    @property
    def reports(self) -> Mapping[int, float]:
        """What this and earlier attempts have reported, by step."""
        return dict(self._reports)

    def suggest(self, draw: Callable[[Trial], T]) -> T:
        """Draw all parameters at once; those that an earlier attempt has drawn stay.

        Args:
            draw: Asks the trial for every parameter. It may be called again.

        Raises:
            Fenced: Somebody else has the trial.
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
            # Somebody who has lost this trial drew too, and the first value stays.
            self._trial = Trial(self._study, self.lease.trial_id)
        raise EnvironmentFailed(f"the parameters of trial {self.number} change while it draws them")

    def report(self, step: int, value: float) -> Written:
        """Tell the study a step's score; no step is written twice.

        Returns:
            `known` where it was reported before, `different` where the score was another one then:
            the first one stays.

        Raises:
            Fenced: Somebody else has the trial.
            TrainingAborted: The score is no finite number.
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
        """Whether the study has better ones."""
        return self._trial.should_prune()

    def note(self, key: str, value: object) -> None:
        """Keep an attribute with the trial, e.g. a link.

        Raises:
            Fenced: Somebody else has the trial.
        """
        with self._writing():
            self._storage.set_trial_user_attr(self.lease.trial_id, key, value)

    def finish(self, ending: TrialResult) -> None:
        """Tell the study how the trial ended; then nobody can write it any more.

        Raises:
            Fenced: Somebody else has the trial, or has finished it.
        """
        with self._writing():
            failpoint("finish.renewed")
            before = self._stored()
            self._describe(ending, before)
            failpoint("finish.noted")
            self._tell(ending, before)
            failpoint("finish.told")
        self._leases.end(self.lease, "finished")

    def release(self) -> None:
        """Give the trial back, to go on under its number: a signal came, nothing went wrong.

        Raises:
            Fenced: Somebody else has the trial.
        """
        with self._writing():
            failpoint("release.renewed")
            self._storage.set_trial_state_values(self.lease.trial_id, TrialState.WAITING)
            failpoint("release.waiting")
        self._leases.end(self.lease, "released")

    def give_up(self) -> None:
        """Give the trial back because the machine failed it: it counts as a death.

        Raises:
            Fenced: Somebody else has the trial.
        """
        self._assure()
        self._leases.end(self.lease, "died")
        requeue(self._leases, self.lease.trial_id, MOST_DEATHS)

    def hang(self) -> None:
        """Give the trial back, from beside a thread that hangs with it: it counts as a death.

        It is tried once: whoever sees the process end, or its lease, does the rest.

        Raises:
            EnvironmentFailed: The database is away.
        """
        leases = self._leases.once()
        if leases.end(self.lease, "hung"):
            requeue(leases, self.lease.trial_id, MOST_DEATHS)

    def _assure(self) -> None:
        self._leases.assure(self.lease)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Make sure of the lease; a process that stops right after it may still come too late."""
        self._assure()
        try:
            yield
        except UpdateFinishedTrialError:
            self._leases.end(self.lease, "finished")
            raise Fenced(f"trial {self.number} is finished already") from None

    def _stored(self) -> FrozenTrial:
        return self._storage.get_trial(self.lease.trial_id)

    def _describe(self, ending: TrialResult, before: FrozenTrial) -> None:
        """Reason and constraints, also as attributes, which the dashboard shows."""
        trial_id = self.lease.trial_id
        for name, value in ending.constraints.items():
            if name not in before.constraints:
                self._trial.set_constraint(name, value)
            self._storage.set_trial_user_attr(trial_id, f"c/{name}", value)
        self._storage.set_trial_user_attr(trial_id, REASON, ending.reason)

    def _tell(self, ending: TrialResult, before: FrozenTrial) -> None:
        if before.state == TrialState.WAITING:
            # A reaper that had stopped for long has woken up; the lease says whose the trial is.
            self._storage.set_trial_state_values(self.lease.trial_id, TrialState.RUNNING)
        state = _STATES[ending.state]
        try:
            self._study.tell(self._trial, ending.value, state)
        except (UpdateFinishedTrialError, ValueError):
            # The answer to our own telling was lost, or another one's came first.
            found = self._stored()
            if found.state != state or ending.value not in {None, found.value}:
                kind = UpdateFinishedTrialError if found.state.is_finished() else Fenced
                raise kind(f"trial {self.number} is {found.state.name} already") from None
