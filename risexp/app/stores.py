"""Makes the place where runs are recorded, before anything is."""

from dataclasses import dataclass
from functools import partial

from risexp.errors import EnvironmentFailed, InvalidInput
from risexp.tracking.border import Failure, tried
from risexp.tracking.labels import EXPERIMENT
from risexp.tracking.stores import VARIABLE, Store, chosen_store, in_environment


@dataclass(frozen=True)
class Made:
    """A store that is ready."""

    store: Store
    created: bool
    """Whether its tables were made by this call."""
    experiment_id: str


def init_store(option: str | None) -> Made:
    """See to it that a store has its tables and its experiment.

    Args:
        option: Its address, if one was given.

    Raises:
        InvalidInput: There can be no such store, or tracking is off.
        EnvironmentFailed: It does not answer, or the disk is full or forbidden.
    """
    store = chosen_store(option)
    if store is None:
        told = "--tracking" if option else VARIABLE
        raise InvalidInput(f"{told} says off: name a store, or none for the embedded one")
    with in_environment(store):
        made = tried(partial(_made, store))
    if isinstance(made, Failure):
        raise EnvironmentFailed(f"the store {store.name} cannot be made ready: {made.sentence}")
    return made


def _made(store: Store) -> Made:
    from risexp.tracking.mlflow import Runs
    from risexp.tracking.schema import prepare, write_ahead

    created = prepare(store)
    if store.database is not None:
        # One that was made by MLflow itself keeps readers and writers apart.
        write_ahead(store.database)
    return Made(store, created, Runs(store).experiment(EXPERIMENT))
