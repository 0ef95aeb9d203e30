"""Whether the stores answer and have their tables, without waiting long for one that is away."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from risexp.app.doctor.check import Check
from risexp.app.run.sync import Destinations
from risexp.errors import EnvironmentFailed
from risexp.hpo.store.address import STORE, address_of, embedded, store_url
from risexp.hpo.store.retry import Retry
from risexp.hpo.store.store import NotMade, StudyStore, find_store
from risexp.tracking.schema import tables_of
from risexp.tracking.stores import VARIABLE, Failure
from risexp.tracking.stores import TrackingStore as Destination

if TYPE_CHECKING:
    from risexp.tracking.client import TrackingClient

PATIENCE_S: Final = 5.0
"""How long a store is waited for."""
NOT_MADE: Final = "not yet made: the first to need it makes it, or `risexp doctor --fix` does"


@dataclass(frozen=True)
class Studies:
    """The database of studies, and what is said of it."""

    store: StudyStore | None
    """None where there is none that answers."""
    check: Check
    missing: bool = False
    """Whether it is not yet made."""


@contextmanager
def studies_store() -> Iterator[Studies]:
    """The database of studies, opened where it is there and answers, and closed in the end.

    Raises:
        InvalidInput: What the environment names is no database, or its driver is not installed.
    """
    found = _studies()
    try:
        yield found
    finally:
        if found.store is not None:
            found.store.close()


def _studies() -> Studies:
    name = address_of(store_url() or embedded()).name
    try:
        store = find_store(store_url(), retry=Retry("", limit_s=PATIENCE_S), busy_s=PATIENCE_S)
    except NotMade:
        return Studies(None, Check("stores", "studies", "ok", f"{name} is {NOT_MADE}"), True)
    except EnvironmentFailed as error:
        said = f"{error}; or name another one in {STORE}"
        return Studies(None, Check("stores", "studies", "fail", said))
    said = f"{name} answers, and its tables are current"
    return Studies(store, Check("stores", "studies", "ok", said))


class OtherVersion(EnvironmentFailed):
    """The tables of a store are those of another version of MLflow."""


def destinations() -> Destinations:
    """The stores of records, of which none is made or changed."""
    return Destinations(_opened)


def records_check(places: Destinations, store: Destination | None) -> Check:
    """Whether the store that new runs are recorded in answers."""
    if store is None:
        return Check("stores", "records", "ok", f"{VARIABLE} says off: runs are in folders only")
    name = _named(store)
    answer = places.ask(store, lambda _: True)
    if answer is None:
        return Check("stores", "records", "ok", f"{name} is {NOT_MADE}")
    if isinstance(answer, Failure):
        said = (
            answer.sentence
            if isinstance(answer.error, OtherVersion)
            else f"{name} cannot be used ({answer.sentence}): start it, or name another one in "
            f"{VARIABLE}; nothing is lost meanwhile"
        )
        return Check("stores", "records", "fail", said)
    return Check("stores", "records", "ok", f"{name} answers, and its tables are current")


def _opened(store: Destination) -> "TrackingClient | None":
    tables = tables_of(store)
    if tables == "missing":
        return None
    if tables == "other":
        address = store.name if store.database is None else store.uri
        raise OtherVersion(
            f"the tables of {_named(store)} are of another version of MLflow: back it up and run "
            f"`mlflow db upgrade {address}`"
        )
    from risexp.tracking.client import TrackingClient

    runs = TrackingClient(store)
    runs.ping()
    return runs


def _named(store: Destination) -> str:
    return store.name if store.database is None else str(store.database)
