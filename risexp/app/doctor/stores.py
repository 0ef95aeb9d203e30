"""Opens the database of studies and the tracking stores for reading; makes and changes nothing."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from risexp.app.doctor.check import FIX, Check
from risexp.app.doctor.status import StudyStatus, TrackedStudy
from risexp.app.run.sync import Destinations
from risexp.errors import EnvironmentFailed
from risexp.hpo.store.address import STORE, address_of, embedded, store_url
from risexp.hpo.store.retry import Retry
from risexp.hpo.store.store import NotMade, StudyStore, find_store
from risexp.tracking.schema import tables_of
from risexp.tracking.stores import VARIABLE, Failure, TrackingStore, chosen_store
from risexp.tracking.study_run import StudyRuns, TrialRun

if TYPE_CHECKING:
    from risexp.tracking.client import TrackingClient

PATIENCE_S: Final = 5.0
"""Time limit for one store to answer."""
NOT_MADE: Final = f"not yet made: the first command that needs it makes it, or {FIX} does"


@dataclass(frozen=True)
class StudiesStore:
    """The database of studies and its check."""

    store: StudyStore | None
    """None if it does not exist or does not answer."""
    check: Check
    missing: bool = False
    """True if it does not exist yet."""


RunReader = Callable[..., StudyRuns]
"""`study_runs`, or `study_rows` if values are needed too."""


@contextmanager
def studies_store() -> Iterator[StudiesStore]:
    """Open the database of studies if it exists and answers; close it in the end."""
    opened = _studies_store()
    try:
        yield opened
    finally:
        if opened.store is not None:
            opened.store.close()


def destinations() -> Destinations:
    """Open tracking stores on demand, only if their tables are there and current."""
    return Destinations(_current_client)


def records_check(places: Destinations, store: TrackingStore | None) -> Check:
    """Check the tracking store of new runs."""
    if store is None:
        return Check("stores", "records", "ok", f"{VARIABLE} says off: runs are in folders only")
    name, answer = _shown(store), places.ask(store, lambda _: True)
    if answer is None:
        return Check("stores", "records", "ok", f"{name} is {NOT_MADE}")
    if not isinstance(answer, Failure):
        return Check("stores", "records", "ok", f"{name} answers, and its tables are current")
    sentence = answer.sentence
    if not isinstance(answer.error, OtherVersion):
        sentence = (
            f"{name} cannot be used ({sentence}): start it, or name another one in {VARIABLE}; "
            "nothing is lost meanwhile"
        )
    return Check("stores", "records", "fail", sentence)


def with_runs(status: StudyStatus, places: Destinations, read: RunReader) -> StudyStatus:
    """Add the study's runs from every store that its folders name."""
    question: Callable[[TrackingClient], StudyRuns] = partial(
        read, name=status.study.name, uid=status.study.uid
    )
    stores, parents, runs = dict[str, TrackingStore](), dict[str, str](), list[TrialRun]()
    answered = False
    for store in _stores(status):
        answer = places.ask(store, question)
        if isinstance(answer, Failure):
            return replace(status, tracked=TrackedStudy(failure=answer.sentence))
        if answer is not None:
            answered = True
            parents |= answer.parents
            runs += answer.trials
            ids = [*answer.parents, *(run.run_id for run in answer.trials)]
            stores |= dict.fromkeys(ids, store)
    # A search in another home without a record leaves nothing here to judge.
    judged = answered and bool(status.folders or runs)
    return replace(status, tracked=TrackedStudy(stores, parents, tuple(runs), judged))


class OtherVersion(EnvironmentFailed):
    """The tables of a store are those of another version of MLflow."""


def _studies_store() -> StudiesStore:
    name = address_of(store_url() or embedded()).name
    try:
        store = find_store(store_url(), retry=Retry("", limit_s=PATIENCE_S), busy_s=PATIENCE_S)
    except NotMade:
        check = Check("stores", "studies", "ok", f"{name} is {NOT_MADE}")
        return StudiesStore(None, check, missing=True)
    except EnvironmentFailed as error:
        sentence = f"{error}; or name another one in {STORE}"
        return StudiesStore(None, Check("stores", "studies", "fail", sentence))
    sentence = f"{name} answers, and its tables are current"
    return StudiesStore(store, Check("stores", "studies", "ok", sentence))


def _current_client(store: TrackingStore) -> "TrackingClient | None":
    tables = tables_of(store)
    if tables == "missing":
        return None
    if tables == "other":
        address = store.name if store.database is None else store.uri
        raise OtherVersion(
            f"the tables of {_shown(store)} are of another version of MLflow: back it up and run "
            f"`mlflow db upgrade {address}`"
        )
    from risexp.tracking.client import TrackingClient

    client = TrackingClient(store)
    client.ping()
    return client


def _shown(store: TrackingStore) -> str:
    return store.name if store.database is None else str(store.database)


def _stores(status: StudyStatus) -> Iterable[TrackingStore]:
    if not status.folders:
        chosen = chosen_store(None)
        return () if chosen is None else (chosen,)
    stores = [folder.store for folder in status.folders.values()]
    return {store.name: store for store in stores if store is not None}.values()
