"""The record of a search in MLflow: one sender for all its trials, beside whoever looks on."""

import threading
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from risexp.hpo.breaker import FAILING
from risexp.hpo.recovery import USED_UP
from risexp.hpo.studies import StudyRef, run_id
from risexp.hpo.table import StudyTable
from risexp.tracking.border import Failure, tried
from risexp.tracking.folder import find_run, is_run, runs_home
from risexp.tracking.journal import Journal, utc_ms
from risexp.tracking.labels import Labels, Parent
from risexp.tracking.outcome import Outcome
from risexp.tracking.parents import ParentStatus, Saying, say_of_parent
from risexp.tracking.schema import opened
from risexp.tracking.spool import Busy, Spool
from risexp.tracking.stores import OFF, Store, in_environment

if TYPE_CHECKING:
    from risexp.tracking.mlflow import Runs

_LOOK_S: Final = 2.0
"""Between two looks into the folders of a study's runs."""
_LONGEST_S: Final = 60.0
"""Between two tries of a store that does not answer."""


def study_labels(study: StudyRef, preset: str | None, store: Store | None) -> Labels:
    """What the runs of a study's trials are filed under; the trial's own values come with it."""
    return Labels(
        store=OFF if store is None else store.name,
        preset=preset,
        study=study.name,
        parent=Parent(study.name, study.uid, utc_ms()),
    )


class StudyRecord:
    """Sends the records of all trials of a study while it is entered, from a thread of its own.

    Workers write to their folders only. What a store misses is sent by `risexp sync`.
    """

    def __init__(self, study: StudyRef, store: Store | None) -> None:
        self.failure: str | None = None
        """Why the last pass did not come through, in a sentence."""
        self._study = study
        self._runs: Runs | None = None
        self._left = threading.Event()
        self._thread: threading.Thread | None = None
        if store is not None:
            follow = partial(self._follow, store)
            self._thread = threading.Thread(target=follow, name="record", daemon=True)

    def __enter__(self) -> Self:
        if self._thread is not None:
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._left.set()
        if self._thread is not None:
            self._thread.join(_LONGEST_S)

    def unsent(self) -> int:
        """Lines of the study's runs that its store misses; 0 where none is to have them."""
        if self._thread is None:
            return 0
        return sum(spool.unsent() for spool in self._spools())

    def _follow(self, store: Store) -> None:
        pause = _LOOK_S
        while not self._left.wait(pause):
            pause = self._passed(store, pause, live=True)
        self._passed(store, pause, live=False)

    def _passed(self, store: Store, pause: float, *, live: bool) -> float:
        """One pass over all folders; how long to wait before the next."""
        found = tried(partial(self._sent, store, live=live))
        self.failure = found.sentence if isinstance(found, Failure) else None
        return min(2.0 * pause, _LONGEST_S) if isinstance(found, Failure) else _LOOK_S

    def _sent(self, store: Store, *, live: bool) -> None:
        from risexp.tracking.sender import Sender

        with in_environment(store):
            self._runs = self._runs or opened(store)
            for spool in self._spools():
                with suppress(Busy), spool.sending():
                    Sender(spool, store.name, self._runs).drain(live=live)

    def _spools(self) -> Iterable[Spool]:
        names = (run_id(self._study.name, number) for number in range(self._study.trials))
        spools = (Spool(find_run(name).path) for name in names if is_run(name))
        return [spool for spool in spools if spool.unsent()]


def close_used_up(table: StudyTable) -> None:
    """Say in the runs of trials whose attempts are used up that they ended; nobody else can."""
    for row in table.trials:
        name = run_id(table.name, row.number)
        if row.state != "failed" or row.reason != USED_UP or not is_run(name):
            continue
        folder = find_run(name)
        if folder.outcome() is None:
            sentence = f"{row.attempts} attempts at trial {row.number} died: see the workers' logs"
            Journal(folder.journal, name).note(row.epoch, "ended", {"reason": USED_UP})
            folder.close(Outcome("failed", USED_UP, sentence, 1))


def say_of_study(store: Store, study: StudyRef, table: StudyTable) -> str | None:
    """Bring the run of a study up to date; why that failed, if it did."""
    status: ParentStatus = "FINISHED"
    if not table.over:
        status = "FAILED" if table.ended == FAILING else "KILLED"
    left = [str(row.number) for row in table.trials if row.state == "waiting"]
    best = table.best
    tags = {
        "risexp.state": "complete" if table.over else "ended",
        "risexp.reason": table.ended or ("finished" if table.over else "left"),
        "risexp.left": ", ".join(left),
        "risexp.best": "" if best is None else run_id(study.name, best.number),
    }
    parent = Parent(study.name, study.uid, utc_ms())
    said = say_of_parent(store, runs_home(), parent, Saying(status, utc_ms(), tags))
    return said.sentence if isinstance(said, Failure) else None
