"""Makes the stores, and uploads what tracking stores miss of runs."""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from risexp.core.locks import Busy
from risexp.errors import EnvironmentFailed, InvalidInput, RisexpError
from risexp.hpo.store.address import store_url
from risexp.hpo.store.store import open_store
from risexp.runs.folder import RunFolder, find_run, list_runs
from risexp.runs.spec import EXPERIMENT, read_labels
from risexp.tracking.schema import opened, prepare, write_ahead
from risexp.tracking.stores import (
    OFF,
    VARIABLE,
    Failure,
    TrackingStore,
    attempt,
    chosen_store,
    in_environment,
)
from risexp.tracking.upload_state import UploadState
from risexp.tracking.uploader_process import store_for

if TYPE_CHECKING:
    from risexp.tracking.client import TrackingClient
    from risexp.tracking.uploader import UploadResult

T = TypeVar("T")
State = Literal["sent", "busy", "elsewhere", "failed"]


@dataclass(frozen=True)
class Synced:
    """Result of one run's upload."""

    run: str
    state: State
    """`busy`: another process uploads it; `elsewhere`: it is recorded in another store."""
    store: str = ""
    mlflow_run: str = ""
    """The store's own id of the run; empty before the first upload."""
    lines: int = 0
    values: int = 0
    sentence: str = ""
    """Reason of a failure."""

    def as_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


@dataclass
class Destinations:
    """Tracking stores, opened once; one that fails is not asked again."""

    open: "Callable[[TrackingStore], TrackingClient | None]"
    """Opens a store; None if it does not exist, and must not be made."""
    _opened: "dict[str, TrackingClient | Failure]" = field(default_factory=dict, init=False)

    def client(self, store: TrackingStore) -> "TrackingClient | Failure | None":
        """Client of a store, within `in_environment`; None if the store does not exist."""
        client = self._opened.get(store.name) or attempt(partial(self.open, store))
        if client is not None:
            self._opened[store.name] = client
        return client

    def ask(
        self, store: TrackingStore, question: "Callable[[TrackingClient], T]"
    ) -> T | Failure | None:
        """Answer of a store; None if it does not exist."""
        with in_environment(store):
            client = self.client(store)
            if client is None or isinstance(client, Failure):
                return client
            answer = attempt(partial(question, client))
            if isinstance(answer, Failure):
                self._opened[store.name] = answer
            return answer


def sync(names: Sequence[str], option: str | None, *, again: bool = False) -> list[Synced]:
    """Upload the records of runs; of all runs with missing data if none is named.

    A run whose folder is damaged fails by itself.

    Args:
        names: Of the runs.
        option: The tracking store that the user named.
        again: Upload all that is in the folders, since a store has lost it.
    """
    if option == OFF:
        raise InvalidInput("nothing is sent to `off`: name a store, or none")
    chosen_store(option)
    if names:
        folders = [find_run(name) for name in names]
        pairs = [(folder, _store(folder, option)) for folder in folders]
        destinations = Destinations(_answering)
        return [_sent(folder, store, destinations, again=again) for folder, store in pairs]
    waiting, damaged = list[RunFolder](), list[Synced]()
    for folder in list_runs():
        try:
            if missing_lines(folder) or (again and UploadState(folder.path).progress()):
                waiting.append(folder)
        except (RisexpError, OSError) as error:
            damaged.append(Synced(folder.run_id, "failed", sentence=str(error)))
    return send(waiting, Destinations(_answering), option, again=again) + damaged


def send(
    folders: Sequence[RunFolder],
    destinations: Destinations,
    option: str | None = None,
    *,
    again: bool = False,
) -> list[Synced]:
    """Upload the records of these runs, except those in another store than `option` names."""
    sent, elsewhere = list[Synced](), list[Synced]()
    for folder in folders:
        try:
            store = _store(folder, option)
        except InvalidInput as error:
            elsewhere.append(Synced(folder.run_id, "elsewhere", sentence=str(error)))
        else:
            sent.append(_sent(folder, store, destinations, again=again))
    return sent + elsewhere


def missing_lines(folder: RunFolder) -> int:
    """Number of journal lines that the run's store misses; 0 without a store."""
    state, labels = UploadState(folder.path), read_labels(folder.path)
    never = labels is not None and labels.store == OFF and state.progress() is None
    return 0 if never else state.unsent()


def _store(folder: RunFolder, option: str | None) -> TrackingStore:
    store = store_for(folder.path, option) or chosen_store(None)
    if store is None:
        raise InvalidInput(
            f"run {folder.run_id} is recorded nowhere, and RISEXP_TRACKING_URI says off: name a "
            "store with --tracking"
        )
    return store


def _answering(store: TrackingStore) -> "TrackingClient":
    client = opened(store)
    client.ping()
    return client


def _sent(
    folder: RunFolder, store: TrackingStore, destinations: Destinations, *, again: bool
) -> Synced:
    state = UploadState(folder.path)
    with in_environment(store):
        client = destinations.client(store)
        if client is None:
            sentence = f"{store.name} is not yet made: `risexp sync {state.run}` makes it"
            return Synced(state.run, "failed", store.name, sentence=sentence)
        drained = partial(_drained, state, store, again)
        sent = client if isinstance(client, Failure) else attempt(partial(drained, client))
    progress = state.progress()
    name = "" if progress is None else progress.run_id
    if isinstance(sent, Failure):
        # Busy of another uploader only: a store that cannot be opened is a failure.
        busy = sent is not client and isinstance(sent.error, Busy)
        kind: State = "busy" if busy else "failed"
        return Synced(state.run, kind, store.name, name, sentence=sent.sentence)
    return Synced(state.run, "sent", store.name, name, sent.lines, sent.points)


def _drained(
    state: UploadState, store: TrackingStore, again: bool, client: "TrackingClient"
) -> "UploadResult":
    from risexp.tracking.uploader import Uploader

    with state.sending():
        if again:
            state.forget()
        return Uploader(state, store.name, client).drain(live=False)


@dataclass(frozen=True)
class Made:
    """Both stores, which are ready."""

    store: TrackingStore
    created: bool
    """True if this call made the tracking tables."""
    experiment_id: str
    studies: str
    """Address of the database of studies, without a password."""


def init_store(option: str | None) -> Made:
    """Make the tables of the tracking store and of the studies' database, if they are missing."""
    store = chosen_store(option)
    if store is None:
        source = "--tracking" if option else VARIABLE
        raise InvalidInput(f"{source} says off: name a store, or none for the embedded one")
    with closing(open_store(store_url())) as studies:
        name = studies.name
    with in_environment(store):
        made = attempt(partial(_made, store, name))
    if isinstance(made, Failure):
        raise EnvironmentFailed(f"the store {store.name} cannot be made ready: {made.sentence}")
    return made


def _made(store: TrackingStore, studies: str) -> Made:
    from risexp.tracking.client import TrackingClient

    created = prepare(store)
    if store.database is not None:
        # A database that MLflow itself has made is not in write-ahead mode.
        write_ahead(store.database)
    return Made(store, created, TrackingClient(store).experiment(EXPERIMENT), studies)
