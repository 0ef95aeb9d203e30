"""A study and its budget: all its trials are there, waiting, before anybody works on one."""

import json
import os
import secrets
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import optuna
from optuna.exceptions import DuplicatedStudyError
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from risexp.config.section import nearest
from risexp.core.failpoint import failpoint
from risexp.errors import InvalidInput
from risexp.hpo.search.optuna_registry import experimental
from risexp.hpo.store.leases import LeaseOwner, Leases
from risexp.hpo.store.store import StudyStore
from risexp.space.spec import SCORE

SLOT: Final = "slot"
"""Attribute of a trial: which of the budget's places it takes."""
REASON: Final = "reason"
"""Attribute of a finished trial: one word."""
SURPLUS: Final = "surplus"
"""Reason of a trial whose slot another one has."""

_UID: Final = "risexp.uid"
_TRIALS: Final = "risexp.trials"
_FACTS: Final = "risexp.facts"
_END: Final = "risexp.end"


@dataclass(frozen=True)
class StudyPlan:
    """What a study is to be."""

    name: str
    trials: int
    """Finished ones in total, whatever their end; a study that has more keeps them."""
    facts: Mapping[str, Any]
    """What a study cannot change once it has begun, e.g. hashes of space and base; as JSON."""
    points: Sequence[Mapping[str, Any]] = ()
    """Parameters of the first slots, from slot 0 on; what is not given, the sampler draws. Those
    that are not suggested do nothing."""


@dataclass(frozen=True)
class StudyRef:
    """A study in a store."""

    name: str
    id: int
    """Optuna's: it may come again once the study is deleted."""
    uid: str
    """Ours: it never comes again."""
    trials: int
    """How many were asked for."""
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class End:
    """Why a study ended before all its trials did."""

    reason: str
    left: tuple[int, ...]
    """Numbers of the trials that were not final: they wait, or run and may be given back."""


def open_study(store: StudyStore, plan: StudyPlan) -> StudyRef:
    """Create a study, or go on with it; its budget only grows.

    Raises:
        InvalidInput: A study of that name is another one, or was not made by us.
    """
    if plan.trials < 1:
        raise InvalidInput(f"a study of {plan.trials} trials is none: ask for one at least")
    with store.locked(f"study {plan.name}"):
        study_id = _created(store, plan.name)
        _described(store, study_id, plan)
        found = _ref(store, plan.name, study_id)
        _expect_same(found, plan)
        if found.trials < plan.trials:
            store.storage.set_study_user_attr(study_id, _TRIALS, plan.trials)
            found = _ref(store, plan.name, study_id)
        if _END in store.storage.get_study_user_attrs(study_id):
            store.storage.set_study_user_attr(study_id, _END, None)
        store.retry(lambda: _fill(store, found, plan.points))
        return found


def find_study(store: StudyStore, name: str) -> StudyRef:
    """A study that somebody has created.

    Raises:
        InvalidInput: There is none of that name, or it was not made by us.
    """
    # Whoever is creating it has the lock until it is whole.
    with store.locked(f"study {name}"):
        try:
            study_id = store.storage.get_study_id_from_name(name)
        except KeyError:
            names = study_names(store)
            hint = nearest(name, names) or f"; there are: {', '.join(names) or 'none'}"
            raise InvalidInput(f"there is no study {name!r} in {store.name}{hint}") from None
        return _ref(store, name, study_id)


def is_study(store: StudyStore, name: str) -> bool:
    """Whether a name is taken; what somebody began to create and left without a trial is nobody's.

    `open_study` makes such a study whole.
    """
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
    """Write down why a study ends, and which trials it leaves; opening it again takes it back."""
    listed = store.storage.list_trials(study.id)
    end = End(reason, tuple(each.number for each in listed if not each.state.is_finished()))
    told = {"reason": end.reason, "left": list(end.left)}
    store.storage.set_study_user_attr(study.id, _END, told)
    return end


def end_of(store: StudyStore, study: StudyRef) -> End | None:
    """Why a study ended; None while it goes on, or where it is done."""
    told = store.storage.get_study_user_attrs(study.id).get(_END)
    return None if told is None else End(told["reason"], tuple(told["left"]))


def run_id(study: str, number: int) -> str:
    """The run of a trial: its folder, its name everywhere."""
    return f"{study}-{number:03d}"


def slot_of(trial: FrozenTrial) -> int | None:
    """The place in the budget a trial takes; None for one that somebody else has added."""
    slot = trial.user_attrs.get(SLOT)
    return slot if isinstance(slot, int) else None


def _created(store: StudyStore, name: str) -> int:
    with suppress(DuplicatedStudyError):
        store.storage.create_new_study([StudyDirection.MINIMIZE], name)
    failpoint("study.created")
    return store.storage.get_study_id_from_name(name)


def _described(store: StudyStore, study_id: int, plan: StudyPlan) -> None:
    """Say what a new study is; the identifier comes last and says that the rest is there."""
    if not _unfinished(store, study_id):
        return
    store.storage.set_study_user_attr(study_id, _FACTS, dict(plan.facts))
    store.storage.set_study_user_attr(study_id, _TRIALS, plan.trials)
    with experimental():
        # What dashboards call it.
        optuna.load_study(study_name=plan.name, storage=store.storage).set_metric_names([SCORE])
    store.storage.set_study_user_attr(study_id, _UID, secrets.token_hex(16))
    failpoint("study.described")


def _unfinished(store: StudyStore, study_id: int) -> bool:
    """Whether whoever created a study died before it was described."""
    attributes = store.storage.get_study_user_attrs(study_id)
    return _UID not in attributes and not store.storage.list_trials(study_id)


def _ref(store: StudyStore, name: str, study_id: int) -> StudyRef:
    attributes = store.storage.get_study_user_attrs(study_id)
    if _UID not in attributes:
        raise InvalidInput(
            f"study {name!r} in {store.name} was not made by risexp: search under another name"
        )
    return StudyRef(name, study_id, attributes[_UID], attributes[_TRIALS], attributes[_FACTS])


def _expect_same(found: StudyRef, plan: StudyPlan) -> None:
    keys = sorted(found.facts.keys() | plan.facts.keys())
    # As it was stored: a tuple comes back as a list.
    now = json.loads(json.dumps(dict(plan.facts)))
    if changed := [key for key in keys if found.facts.get(key) != now.get(key)]:
        raise InvalidInput(
            f"study {plan.name!r} began with another {' and '.join(changed)}: search under another "
            "name, or with what it began with"
        )


def _fill(store: StudyStore, study: StudyRef, points: Sequence[Mapping[str, Any]]) -> None:
    """Put a waiting trial into every slot that has none; may be repeated."""
    handle = optuna.load_study(study_name=study.name, storage=store.storage)
    taken = {slot_of(trial) for trial in handle.get_trials(deepcopy=False)}
    for slot in range(study.trials):
        if slot not in taken:
            given = dict(points[slot]) if slot < len(points) else {}
            handle.enqueue_trial(given, user_attrs={SLOT: slot})
            failpoint("study.slot")
    _close_surplus(store, study)


def _close_surplus(store: StudyStore, study: StudyRef) -> None:
    """Of waiting trials with one slot keep the first: an answer that was lost makes a second."""
    ids = {each.number: each.trial_id for each in store.storage.list_trials(study.id)}
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
