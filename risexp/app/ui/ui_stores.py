"""The stores that `risexp ui` can show: the store of runs, and the store of studies."""

from dataclasses import dataclass
from functools import partial
from typing import Final, Literal

from risexp.core.home import home
from risexp.errors import EnvironmentFailed, InvalidInput
from risexp.hpo.store.address import store_url
from risexp.hpo.store.retry import Retry
from risexp.hpo.store.store import NotMade, StudyStore, find_store
from risexp.tracking.schema import tables_of
from risexp.tracking.stores import Failure, TrackingStore, attempt, chosen_store, in_environment

Page = Literal["mlflow", "dashboard"]

_RETRY_S: Final = 5.0
"""A person who waits for a page gives up sooner than a worker."""


@dataclass(frozen=True)
class AvailableStores:
    """The stores to show."""

    studies: StudyStore | None
    runs: TrackingStore | None
    elsewhere: str | None
    """Address of a tracking server, which has its own pages."""
    notes: tuple[str, ...]
    """What cannot be shown, and why."""

    @classmethod
    def under(cls, only: Page | None, tracking: str | None) -> "AvailableStores":
        """The stores of this home, of one page or of both."""
        notes: list[str] = []
        runs = _runs(tracking, notes) if only != "dashboard" else None
        is_server = runs is not None and runs.artifacts is None
        elsewhere = runs.name if runs is not None and is_server else None
        runs = None if is_server else runs
        studies = _studies(notes) if only != "mlflow" else None
        if studies is None and runs is None:
            raise InvalidInput(_nothing(elsewhere, notes))
        return cls(studies, runs, elsewhere, tuple(notes))


def _nothing(elsewhere: str | None, notes: list[str]) -> str:
    if elsewhere is not None:
        return "; ".join([f"runs are on a tracking server: open {elsewhere}", *notes])
    return (
        f"there is nothing to show: {'; '.join(notes)}; `risexp hpo --space smoke` makes a study "
        "and its runs in two minutes, RISEXP_HOME names another home"
    )


def _runs(option: str | None, notes: list[str]) -> TrackingStore | None:
    """The store of runs, if its tables are current."""
    store = chosen_store(option)
    if store is None:
        notes.append("tracking is off, so that there are no runs to show")
        return None
    with in_environment(store):
        tables = attempt(partial(tables_of, store))
    name = store.name if store.database is None else str(store.database)
    if isinstance(tables, Failure):
        raise EnvironmentFailed(f"the store of runs {name} cannot be read: {tables.sentence}")
    if tables == "other":
        raise EnvironmentFailed(
            f"the tables of {name} are of another version of MLflow: `risexp doctor` says "
            "what to do"
        )
    if tables == "missing":
        notes.append(f"no run is recorded in {name} yet")
        return None
    return store


def _studies(notes: list[str]) -> StudyStore | None:
    try:
        return find_store(store_url(), retry=Retry("", limit_s=_RETRY_S), busy_s=_RETRY_S)
    except NotMade:
        where = "mlruns/optuna.db" if store_url() is None else "the store that RISEXP_STORE names"
        notes.append(f"no search has been made in {home().absolute()}, {where}")
        return None
