"""Studies in the store: create, open, find and end them.

A study holds all trials of its budget, waiting, before a worker starts.
"""

import json
import os
import secrets
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal

import optuna
from optuna.exceptions import DuplicatedStudyError
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from risexp.config.section import nearest
from risexp.core.failpoint import failpoint
from risexp.errors import DataInvalid, InvalidInput
from risexp.hpo.search.optuna_registry import experimental
from risexp.hpo.store.leases import LeaseOwner, Leases
from risexp.hpo.store.store import StudyStore
from risexp.space.spec import SCORE
from risexp.space.study_spec import StudySpec

TrialWord = Literal["waiting", "running", "complete", "pruned", "failed"]

STATES: Final[Mapping[TrialState, TrialWord]] = {
    TrialState.WAITING: "waiting",
    TrialState.RUNNING: "running",
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}
"""Optuna's states of a trial in our words."""
SLOT: Final = "slot"
"""Attribute of a trial: its place in the budget."""
REASON: Final = "reason"
"""Attribute of a finished trial: one word."""
SURPLUS: Final = "surplus"
"""Reason of a trial whose slot another trial has."""
SPEC: Final = "charter"
"""The fact of a study that holds its spec."""

_UID: Final = "risexp.uid"
_TRIALS: Final = "risexp.trials"
_FACTS: Final = "risexp.facts"
_END: Final = "risexp.end"


@dataclass(frozen=True)
class StudyRef:
    """A study in a store."""

    name: str
    id: int
    """Optuna's, which is used again once the study is deleted."""
    uid: str
    """Ours, which is never used again."""
    trials: int
    """The budget."""
    facts: Mapping[str, Any]

    @cached_property
    def spec(self) -> StudySpec:
        """The spec that the study was begun with."""
        if SPEC not in self.facts:
            raise DataInvalid(
                f"study {self.name} holds no record of its space: it is no search of risexp"
            )
        return StudySpec.from_json(self.facts[SPEC], f"study {self.name}")


@dataclass(frozen=True)
class End:
    """Why a study ended before all its trials did."""

    reason: str
    left: tuple[int, ...]
    """Numbers of the trials that had not finished."""


def open_study(
    store: StudyStore,
    name: str,
    trials: int,
    facts: Mapping[str, Any],
    points: Sequence[Mapping[str, Any]] = (),
) -> StudyRef:
    """Create a study, or go on with it; its budget only grows.

    Args:
        store: Where the study is.
        name: Of the study.
        trials: Finished ones in total; a study that has more keeps them.
        facts: What a study cannot change once it has begun; as JSON.
        points: Parameters of the first slots, from slot 0 on; the sampler draws what is missing.
    """
    if trials < 1:
        raise InvalidInput(f"a study of {trials} trials is none: ask for one at least")
    with store.locked(f"study {name}"):
        study_id = _created(store, name)
        if _unfinished(store, study_id):
            _describe(store, name, study_id, {_FACTS: dict(facts), _TRIALS: trials})
        study = _ref(store, name, study_id)
        _check_same(study, facts)
        if study.trials < trials:
            store.storage.set_study_user_attr(study_id, _TRIALS, trials)
            study = _ref(store, name, study_id)
        if _END in store.storage.get_study_user_attrs(study_id):
            store.storage.set_study_user_attr(study_id, _END, None)
        store.retry(lambda: _fill(store, study, points))
        return study


def find_study(store: StudyStore, name: str) -> StudyRef:
    """An existing study."""
    # The process that creates a study holds the lock until it is complete.
    with store.locked(f"study {name}"):
        try:
            study_id = store.storage.get_study_id_from_name(name)
        except KeyError:
            names = study_names(store)
            hint = nearest(name, names) or f"; there are: {', '.join(names) or 'none'}"
            raise InvalidInput(f"there is no study {name!r} in {store.name}{hint}") from None
        return _ref(store, name, study_id)


def is_study(store: StudyStore, name: str) -> bool:
    """True if the study exists and is complete; `open_study` completes one that is not."""
    with store.locked(f"study {name}"):
        try:
            study_id = store.storage.get_study_id_from_name(name)
        except KeyError:
            return False
        return not _unfinished(store, study_id)


def study_names(store: StudyStore) -> list[str]:
    """Every study of the store."""
    return [study.study_name for study in store.storage.get_all_studies()]


def end_study(store: StudyStore, study: StudyRef, reason: str) -> End:
    """Record why a study ends, and the trials it leaves; opening it again deletes the record."""
    listed = store.storage.list_trials(study.id)
    end = End(reason, tuple(trial.number for trial in listed if not trial.state.is_finished()))
    kept = {"reason": end.reason, "left": list(end.left)}
    store.storage.set_study_user_attr(study.id, _END, kept)
    return end


def end_of(store: StudyStore, study: StudyRef) -> End | None:
    """Why a study ended early; None while it goes on, or where all its trials finished."""
    kept = store.storage.get_study_user_attrs(study.id).get(_END)
    return None if kept is None else End(kept["reason"], tuple(kept["left"]))


def run_id(study: str, number: int) -> str:
    """The name of a trial's run and folder."""
    return f"{study}-{number:03d}"


def slot_of(trial: FrozenTrial) -> int | None:
    """A trial's place in the budget; None for a trial that another program added."""
    slot = trial.user_attrs.get(SLOT)
    return slot if isinstance(slot, int) else None


def _created(store: StudyStore, name: str) -> int:
    with suppress(DuplicatedStudyError):
        store.storage.create_new_study([StudyDirection.MINIMIZE], name)
    failpoint("study.created")
    return store.storage.get_study_id_from_name(name)


def _describe(store: StudyStore, name: str, study_id: int, attributes: Mapping[str, Any]) -> None:
    """Write the facts of a new study; its identifier comes last and marks it as complete."""
    for attribute, value in attributes.items():
        store.storage.set_study_user_attr(study_id, attribute, value)
    with experimental():
        # The name that dashboards show.
        optuna.load_study(study_name=name, storage=store.storage).set_metric_names([SCORE])
    store.storage.set_study_user_attr(study_id, _UID, secrets.token_hex(16))
    failpoint("study.described")


def _unfinished(store: StudyStore, study_id: int) -> bool:
    """True if the process that created a study died before it was described."""
    attributes = store.storage.get_study_user_attrs(study_id)
    return _UID not in attributes and not store.storage.list_trials(study_id)


def _ref(store: StudyStore, name: str, study_id: int) -> StudyRef:
    attributes = store.storage.get_study_user_attrs(study_id)
    if _UID not in attributes:
        raise InvalidInput(
            f"study {name!r} in {store.name} was not made by risexp: search under another name"
        )
    return StudyRef(name, study_id, attributes[_UID], attributes[_TRIALS], attributes[_FACTS])


def _check_same(study: StudyRef, facts: Mapping[str, Any]) -> None:
    keys = sorted(study.facts.keys() | facts.keys())
    # As it is stored: a tuple comes back as a list.
    now = json.loads(json.dumps(dict(facts)))
    if changed := [key for key in keys if study.facts.get(key) != now.get(key)]:
        raise InvalidInput(
            f"study {study.name!r} began with another {' and '.join(changed)}: search under "
            "another name, or with what it began with"
        )


def _fill(store: StudyStore, study: StudyRef, points: Sequence[Mapping[str, Any]]) -> None:
    """Put a waiting trial into every empty slot; may be repeated."""
    handle = optuna.load_study(study_name=study.name, storage=store.storage)
    taken = {slot_of(trial) for trial in handle.get_trials(deepcopy=False)}
    for slot in range(study.trials):
        if slot not in taken:
            values = dict(points[slot]) if slot < len(points) else {}
            handle.enqueue_trial(values, user_attrs={SLOT: slot})
            failpoint("study.slot")
    _close_surplus(store, study)


def _close_surplus(store: StudyStore, study: StudyRef) -> None:
    """Keep the first of the waiting trials in one slot: a lost answer of the store adds another."""
    ids = {trial.number: trial.trial_id for trial in store.storage.list_trials(study.id)}
    seen: set[int | None] = {None}
    for trial in store.storage.get_all_trials(study.id, deepcopy=False):
        slot = slot_of(trial)
        if slot in seen and slot is not None and trial.state == TrialState.WAITING:
            _close(store, study, ids[trial.number])
        seen.add(slot)


def _close(store: StudyStore, study: StudyRef, trial_id: int) -> None:
    leases = Leases(store, study.uid)
    owner = LeaseOwner(secrets.token_hex(16), socket.gethostname(), os.getpid())
    lease = leases.take(trial_id, owner, SURPLUS)
    if lease is not None:
        store.storage.set_trial_user_attr(trial_id, REASON, SURPLUS)
        store.storage.set_trial_state_values(trial_id, TrialState.FAIL)
        leases.end(lease, "finished")
