"""Sends what stores do not have of runs: a server was away, or a machine broke down."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from risexp.core.locks import Busy
from risexp.errors import InvalidInput
from risexp.runs.folder import RunFolder, find_run, list_runs
from risexp.runs.spec import read_labels
from risexp.tracking.schema import opened
from risexp.tracking.stores import (
    OFF,
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
    """What became of one run's record."""

    run: str
    state: State
    """`busy`: another process sends it; `elsewhere`: it is recorded in another store."""
    store: str = ""
    mlflow_run: str = ""
    """The store's own id of the run; empty where there is none yet."""
    lines: int = 0
    values: int = 0
    """Sent by this call."""
    sentence: str = ""
    """Why it was not sent."""

    def as_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


@dataclass
class Destinations:
    """The stores of records, each opened once; one that fails is not asked again."""

    open: "Callable[[TrackingStore], TrackingClient | None]"
    """Opens one that answers; None where it is not yet made, and is not to be."""
    _opened: "dict[str, TrackingClient | Failure]" = field(default_factory=dict, init=False)

    def runs(self, store: TrackingStore) -> "TrackingClient | Failure | None":
        """The runs of a store, from within `in_environment`; None where it is not yet made."""
        runs = self._opened.get(store.name) or attempt(partial(self.open, store))
        if runs is not None:
            self._opened[store.name] = runs
        return runs

    def ask(
        self, store: TrackingStore, question: "Callable[[TrackingClient], T]"
    ) -> T | Failure | None:
        """What a store answers; None where it is not yet made."""
        with in_environment(store):
            runs = self.runs(store)
            if runs is None or isinstance(runs, Failure):
                return runs
            answer = attempt(partial(question, runs))
            if isinstance(answer, Failure):
                self._opened[store.name] = answer
            return answer


def sync(names: Sequence[str], option: str | None) -> list[Synced]:
    """Send the records of runs, of all that have something to send where none is named.

    Args:
        names: Runs, by name or path.
        option: The address of a store, if one was given.

    Raises:
        InvalidInput: There is no such run, it is in another store, or tracking is off.
    """
    if option == OFF:
        raise InvalidInput("nothing is sent to `off`: name a store, or none")
    chosen_store(option)
    if names:
        folders = [find_run(name) for name in names]
        pairs = [(folder, _store(folder, option)) for folder in folders]
        return _all_sent(pairs, Destinations(_answering))
    waiting = [folder for folder in list_runs() if missing_lines(folder)]
    return send(waiting, Destinations(_answering), option)


def send(
    folders: Sequence[RunFolder], destinations: Destinations, option: str | None = None
) -> list[Synced]:
    """Send the records of these runs; of those that are in another store, it is said.

    Args:
        folders: Of the runs.
        destinations: Where to.
        option: The address of a store, if one was given.
    """
    pairs, elsewhere = list[tuple[RunFolder, TrackingStore]](), list[Synced]()
    for folder in folders:
        try:
            pairs.append((folder, _store(folder, option)))
        except InvalidInput as error:
            elsewhere.append(Synced(folder.run_id, "elsewhere", sentence=str(error)))
    return _all_sent(pairs, destinations) + elsewhere


def missing_lines(folder: RunFolder) -> int:
    """Lines of a run that its store misses; 0 where none is to have them."""
    spool, labels = UploadState(folder.path), read_labels(folder.path)
    never = labels is not None and labels.store == OFF and spool.progress() is None
    return 0 if never else spool.unsent()


def _store(folder: RunFolder, option: str | None) -> TrackingStore:
    store = store_for(folder.path, option) or chosen_store(None)
    if store is None:
        raise InvalidInput(
            f"run {folder.run_id} is recorded nowhere, and RISEXP_TRACKING_URI says off: name a "
            "store with --tracking"
        )
    return store


def _all_sent(
    pairs: Sequence[tuple[RunFolder, TrackingStore]], destinations: Destinations
) -> list[Synced]:
    """One after another; a store that does not answer is not asked again for every run."""
    found = []
    for folder, store in pairs:
        with in_environment(store):
            found.append(_sent(folder, store, destinations.runs(store)))
    return found


def _answering(store: TrackingStore) -> "TrackingClient":
    runs = opened(store)
    runs.ping()
    return runs


def _sent(
    folder: RunFolder, store: TrackingStore, runs: "TrackingClient | Failure | None"
) -> Synced:
    spool = UploadState(folder.path)
    if runs is None:
        said = f"{store.name} is not yet made: `risexp sync {spool.run}` makes it"
        return Synced(spool.run, "failed", store.name, sentence=said)
    sent = runs if isinstance(runs, Failure) else attempt(partial(_drained, spool, store, runs))
    progress = spool.progress()
    name = "" if progress is None else progress.run_id
    if isinstance(sent, Failure):
        state: State = "busy" if isinstance(sent.error, Busy) else "failed"
        return Synced(spool.run, state, store.name, name, sentence=sent.sentence)
    return Synced(spool.run, "sent", store.name, name, sent.lines, sent.points)


def _drained(spool: UploadState, store: TrackingStore, runs: "TrackingClient") -> "UploadResult":
    from risexp.tracking.uploader import Uploader

    with spool.sending():
        return Uploader(spool, store.name, runs).drain(live=False)
