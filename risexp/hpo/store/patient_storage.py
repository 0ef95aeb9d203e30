"""Optuna's storage with retries: calls are repeated while the database is away.

Reading all trials costs as much as has changed since: a study begins with all its trials waiting.
"""

import copy
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from threading import Lock
from typing import Any, TypeVar, cast

from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import select

from risexp.hpo.store.retry import Retry
from risexp.hpo.store.schema import TRIALS
from risexp.hpo.store.trial_reader import read_trials

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Listed:
    """A trial in a list."""

    trial_id: int
    number: int
    state: TrialState


def _retried(method: F) -> F:
    """A method of `PatientStorage` that repeats the backend's method of the same name."""

    @wraps(method, updated=())  # the mark of an abstract method is not copied
    def call(self: "PatientStorage", *args: object, **kwargs: object) -> object:
        backend_method = getattr(self._backend, method.__name__)
        return self._retry(lambda: backend_method(*args, **kwargs))

    return cast("F", call)


class PatientStorage(BaseStorage):
    """The storage that studies, samplers and pruners use."""

    def __init__(self, backend: RDBStorage, retry: Retry) -> None:
        self._backend = backend
        self._retry = retry
        self._lock = Lock()
        self._known: dict[int, dict[int, FrozenTrial]] = {}

    create_new_study = _retried(BaseStorage.create_new_study)
    set_study_user_attr = _retried(BaseStorage.set_study_user_attr)
    set_study_system_attr = _retried(BaseStorage.set_study_system_attr)
    get_study_id_from_name = _retried(BaseStorage.get_study_id_from_name)
    get_study_name_from_id = _retried(BaseStorage.get_study_name_from_id)
    get_study_directions = _retried(BaseStorage.get_study_directions)
    get_study_user_attrs = _retried(BaseStorage.get_study_user_attrs)
    get_study_system_attrs = _retried(BaseStorage.get_study_system_attrs)
    get_all_studies = _retried(BaseStorage.get_all_studies)
    get_trial = _retried(BaseStorage.get_trial)
    get_trial_id_from_study_id_trial_number = _retried(
        BaseStorage.get_trial_id_from_study_id_trial_number
    )
    # The first value of a parameter stays; of a step, the last one.
    set_trial_param = _retried(BaseStorage.set_trial_param)
    set_trial_intermediate_value = _retried(BaseStorage.set_trial_intermediate_value)
    # On an embedded database several workers may win the race for RUNNING.
    set_trial_state_values = _retried(BaseStorage.set_trial_state_values)
    set_trial_user_attr = _retried(BaseStorage.set_trial_user_attr)
    set_trial_system_attr = _retried(BaseStorage.set_trial_system_attr)

    def under(self, retry: Retry) -> "PatientStorage":
        """The same storage with other limits for its retries."""
        return PatientStorage(self._backend, retry)

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Create a trial, without a retry: a lost answer would make a second one."""
        return self._backend.create_new_trial(study_id, template_trial)

    def delete_study(self, study_id: int) -> None:
        """Delete a study, and what was read of its trials."""
        self._retry(lambda: self._backend.delete_study(study_id))
        with self._lock:
            self._known.pop(study_id, None)

    def remove_session(self) -> None:
        """Close the backend's session."""
        self._backend.remove_session()

    def list_trials(
        self,
        study_id: int,
        states: Iterable[TrialState] = tuple(TrialState),
        most: int | None = None,
    ) -> list[Listed]:
        """The trials in some states, by number; only the first ones if `most` says how many."""
        query = (
            select(TRIALS.c.trial_id, TRIALS.c.number, TRIALS.c.state)
            .where(TRIALS.c.study_id == study_id, TRIALS.c.state.in_([*states]))
            .order_by(TRIALS.c.number)
            .limit(most)
        )

        def read() -> list[Listed]:
            with self._backend.engine.connect() as connection:
                rows = connection.execute(query).all()
            return [Listed(row.trial_id, row.number, row.state) for row in rows]

        return self._retry(read)

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        """Trials by number; the content of a waiting one may be as old as its last reading."""
        wanted = [state for state in TrialState if states is None or state in states]
        listed = self.list_trials(study_id, wanted)
        with self._lock:
            known = self._known.setdefault(study_id, {})
            known |= self.read_trials([each.trial_id for each in listed if _stale(each, known)])
            trials = [known[each.trial_id] for each in listed if each.trial_id in known]
        # The state of a trial may have changed after it was listed.
        trials = [trial for trial in trials if trial.state in wanted]
        return copy.deepcopy(trials) if deepcopy else trials

    def read_trials(self, ids: Sequence[int]) -> dict[int, FrozenTrial]:
        """The trials of these ids, by them, as they are now."""

        def read() -> dict[int, FrozenTrial]:
            with self._backend.engine.connect() as connection:
                return read_trials(connection, ids)

        return self._retry(read)


def _stale(listed: Listed, known: Mapping[int, FrozenTrial]) -> bool:
    """Whether a trial must be read: it is new, it runs, or its state has changed."""
    before = known.get(listed.trial_id)
    return before is None or listed.state == TrialState.RUNNING or before.state != listed.state
