"""Makes the places where runs are recorded and studies kept, before anything is."""

from contextlib import closing
from dataclasses import dataclass
from functools import partial

from risexp.errors import EnvironmentFailed, InvalidInput
from risexp.hpo.store.address import store_url
from risexp.hpo.store.store import open_store
from risexp.runs.spec import EXPERIMENT
from risexp.tracking.stores import (
    VARIABLE,
    Failure,
    TrackingStore,
    attempt,
    chosen_store,
    in_environment,
)


@dataclass(frozen=True)
class Made:
    """Both stores, which are ready."""

    store: TrackingStore
    created: bool
    """Whether the tables of runs were made by this call."""
    experiment_id: str
    studies: str
    """Where studies are kept, without a password."""


def init_store(option: str | None) -> Made:
    """See to it that the stores of runs and of studies have their tables.

    Args:
        option: Address of the store of runs, if one was given.

    Raises:
        InvalidInput: There can be no such store, or tracking is off.
        EnvironmentFailed: One does not answer, or the disk is full or forbidden.
    """
    store = chosen_store(option)
    if store is None:
        told = "--tracking" if option else VARIABLE
        raise InvalidInput(f"{told} says off: name a store, or none for the embedded one")
    with closing(open_store(store_url())) as studies:
        name = studies.name
    with in_environment(store):
        made = attempt(partial(_made, store, name))
    if isinstance(made, Failure):
        raise EnvironmentFailed(f"the store {store.name} cannot be made ready: {made.sentence}")
    return made


def _made(store: TrackingStore, studies: str) -> Made:
    from risexp.tracking.client import TrackingClient
    from risexp.tracking.schema import prepare, write_ahead

    created = prepare(store)
    if store.database is not None:
        # One that was made by MLflow itself keeps readers and writers apart.
        write_ahead(store.database)
    return Made(store, created, TrackingClient(store).experiment(EXPERIMENT), studies)
