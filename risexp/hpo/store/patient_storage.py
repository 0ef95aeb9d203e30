"""Optuna's storage, patient: every call is made again while the database is away.

Reading all trials costs what has changed, not what is waiting: a study begins with all its trials.
"""

import copy
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any, Final

from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage, RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import select

from risexp.hpo.store.retry import Retry
from risexp.hpo.store.schema import TRIALS

_MANY: Final = 8
"""Trials that are cheaper read together."""


@dataclass(frozen=True)
class Listed:
    """A trial as a list shows it."""

    trial_id: int
    number: int
    state: TrialState


class PatientStorage(BaseStorage):
    """What samplers, pruners and trials talk to."""

    def __init__(self, backend: RDBStorage, retry: Retry) -> None:
        self._backend = backend
        self._retry = retry
        self._lock = Lock()
        self._known: dict[int, dict[int, FrozenTrial]] = {}

    def under(self, retry: Retry) -> "PatientStorage":
        """The same storage with another patience."""
        return PatientStorage(self._backend, retry)

    def list_trials(
        self, study_id: int, states: Iterable[TrialState] = tuple(TrialState)
    ) -> list[Listed]:
        """The trials in some states, by number."""
        wanted = (
            select(TRIALS.c.trial_id, TRIALS.c.number, TRIALS.c.state)
            .where(TRIALS.c.study_id == study_id, TRIALS.c.state.in_([*states]))
            .order_by(TRIALS.c.number)
        )

        def read() -> list[Listed]:
            with self._backend.engine.connect() as connection:
                rows = connection.execute(wanted).all()
            return [Listed(row.trial_id, row.number, row.state) for row in rows]

        return self._retry(read)

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        """Trials by number; what a waiting one holds may be as old as its last reading."""
        wanted = [state for state in TrialState if states is None or state in states]
        listed = self.list_trials(study_id, wanted)
        with self._lock:
            known = self._known.setdefault(study_id, {})
            known |= self._read(study_id, [each for each in listed if _stale(each, known)])
            found = [known[each.trial_id] for each in listed]
        # Since it was listed, one may have come to a state that is not wanted.
        found = [each for each in found if each.state in wanted]
        return copy.deepcopy(found) if deepcopy else found

    def _read(self, study_id: int, stale: Sequence[Listed]) -> dict[int, FrozenTrial]:
        """Each of these trials; those of a state that are many, or run, in one reading."""
        read: dict[int, FrozenTrial] = {}
        for state in TrialState:
            ids = {each.number: each.trial_id for each in stale if each.state == state}
            if len(ids) > _MANY or (ids and state == TrialState.RUNNING):
                together = self._together(study_id, state)
                read |= {ids[each.number]: each for each in together if each.number in ids}
            # Singly those whose state has changed since they were listed.
            read |= {each: self.get_trial(each) for each in ids.values() if each not in read}
        return read

    def _together(self, study_id: int, state: TrialState) -> list[FrozenTrial]:
        return self._retry(lambda: self._backend.get_all_trials(study_id, False, (state,)))

    def create_new_study(
        self, directions: Sequence[StudyDirection], study_name: str | None = None
    ) -> int:
        """As Optuna's."""
        return self._retry(lambda: self._backend.create_new_study(directions, study_name))

    def delete_study(self, study_id: int) -> None:
        """As Optuna's."""
        self._retry(lambda: self._backend.delete_study(study_id))
        with self._lock:
            self._known.pop(study_id, None)

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:  # noqa: ANN401 - Optuna's signature
        """As Optuna's."""
        self._retry(lambda: self._backend.set_study_user_attr(study_id, key, value))

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:  # noqa: ANN401 - Optuna's signature
        """As Optuna's."""
        self._retry(lambda: self._backend.set_study_system_attr(study_id, key, value))

    def get_study_id_from_name(self, study_name: str) -> int:
        """As Optuna's."""
        return self._retry(lambda: self._backend.get_study_id_from_name(study_name))

    def get_study_name_from_id(self, study_id: int) -> str:
        """As Optuna's."""
        return self._retry(lambda: self._backend.get_study_name_from_id(study_id))

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        """As Optuna's."""
        return self._retry(lambda: self._backend.get_study_directions(study_id))

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        """As Optuna's."""
        return self._retry(lambda: self._backend.get_study_user_attrs(study_id))

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """As Optuna's."""
        return self._retry(lambda: self._backend.get_study_system_attrs(study_id))

    def get_all_studies(self) -> list[Any]:
        """As Optuna's."""
        return self._retry(self._backend.get_all_studies)

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """As Optuna's, and not made again by us: who fills a study looks first what is there."""
        return self._backend.create_new_trial(study_id, template_trial)

    def set_trial_param(
        self,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
    ) -> None:
        """As Optuna's: the first value of a parameter stays."""
        self._retry(
            lambda: self._backend.set_trial_param(
                trial_id, param_name, param_value_internal, distribution
            )
        )

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """As Optuna's; on an embedded database several may win the race for RUNNING."""
        return self._retry(lambda: self._backend.set_trial_state_values(trial_id, state, values))

    def set_trial_intermediate_value(
        self, trial_id: int, step: int, intermediate_value: float
    ) -> None:
        """As Optuna's: the last value of a step stays."""
        self._retry(
            lambda: self._backend.set_trial_intermediate_value(trial_id, step, intermediate_value)
        )

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:  # noqa: ANN401 - Optuna's signature
        """As Optuna's."""
        self._retry(lambda: self._backend.set_trial_user_attr(trial_id, key, value))

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:  # noqa: ANN401 - Optuna's signature
        """As Optuna's."""
        self._retry(lambda: self._backend.set_trial_system_attr(trial_id, key, value))

    def get_trial_id_from_study_id_trial_number(self, study_id: int, trial_number: int) -> int:
        """As Optuna's."""
        return self._retry(
            lambda: self._backend.get_trial_id_from_study_id_trial_number(study_id, trial_number)
        )

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """As it stands in the database."""
        return self._retry(lambda: self._backend.get_trial(trial_id))

    def remove_session(self) -> None:
        """As Optuna's."""
        self._backend.remove_session()


def _stale(listed: Listed, known: Mapping[int, FrozenTrial]) -> bool:
    """Whether a trial has to be read: it is new, it runs, or its state is another one."""
    before = known.get(listed.trial_id)
    return before is None or listed.state == TrialState.RUNNING or before.state != listed.state
