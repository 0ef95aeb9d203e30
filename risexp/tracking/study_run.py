"""The run of a study, of which its trials' runs are children: made once, by whoever is first."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from risexp.core.locks import file_lock
from risexp.runs.labels import EXPERIMENT, Parent
from risexp.tracking.attempt import Failure, attempt
from risexp.tracking.schema import opened
from risexp.tracking.stores import TrackingStore, in_environment

if TYPE_CHECKING:
    from risexp.tracking.client import TrackingClient

_PATIENCE_S: Final = 60.0

ParentStatus = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]


@dataclass(frozen=True)
class Saying:
    """What is to be said of a parent; it may be said again, and changes nothing then."""

    status: ParentStatus = "RUNNING"
    time_ms: int = 0
    """When it ended, where it has."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """By their whole names; a later value replaces an earlier one."""
    params: Mapping[str, str] = field(default_factory=dict)
    """What never changes: MLflow refuses another value."""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """Artifacts, by their names there."""


def say_of_parent(
    store: TrackingStore, place: Path, parent: Parent, saying: Saying, experiment: str = EXPERIMENT
) -> str | Failure:
    """Bring a parent up to date, which is made where there is none.

    Args:
        store: Where its trials are recorded too.
        place: The folder of all runs, which everybody who could make it shares.
        parent: Who it is.
        saying: What is to be said of it.
        experiment: Where it belongs.

    Returns:
        The store's id of its run; or how that failed, and it can be tried again.
    """
    with in_environment(store):
        return attempt(partial(_said, store, place, parent, saying, experiment))


def _said(
    store: TrackingStore, place: Path, parent: Parent, saying: Saying, experiment: str
) -> str:
    runs = opened(store)
    return tell_parent(runs, place, parent, saying, runs.experiment(experiment))


def tell_parent(
    runs: "TrackingClient", place: Path, parent: Parent, saying: Saying, experiment_id: str
) -> str:
    """The store's id of a parent, brought up to date; it is made where there is none.

    Args:
        runs: Of the store, within its environment.
        place: The folder of all runs, which everybody who could make it shares.
        parent: Who it is.
        saying: What is to be said of it.
        experiment_id: Where it belongs.

    Raises:
        Busy: Another process is making it, and does not come to an end.
    """
    run_id = parent_id(runs, place, experiment_id, parent)
    runs.add(run_id, params=saying.params, tags=saying.tags)
    runs.add_files(run_id, saying.files)
    if saying.status == "RUNNING":
        runs.go_on(run_id)
    else:
        runs.end(run_id, saying.status, saying.time_ms)
    return run_id


def parent_id(runs: "TrackingClient", place: Path, experiment_id: str, parent: Parent) -> str:
    """The store's id of a parent, which is made where there is none.

    Args:
        runs: Of the store.
        place: The folder of all runs, which everybody who could make it shares.
        experiment_id: Where it belongs.
        parent: Who it is.

    Raises:
        Busy: Another process is making it, and does not come to an end.
    """
    name = hashlib.sha256(parent.uid.encode()).hexdigest()[:16]
    busy = f"another process makes the record of study {parent.name}"
    with file_lock(place / f".parent-{name}.lock", busy, _PATIENCE_S):
        return runs.parent(experiment_id, parent.uid, parent.name, parent.began_ms)
