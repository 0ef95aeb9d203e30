"""A pool of one worker in this process, which acts between two looks of its supervisor."""

import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import StringIO

from pydantic import JsonValue
from rich.console import Console

from risexp.app.search.search import SearchRequest, SearchResult, search
from risexp.app.search.studies import StudyView
from risexp.app.search.worker import owner_of
from risexp.hpo.search.parameters import suggest
from risexp.hpo.store.address import embedded
from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.study import StudyRef, end_of, find_study
from risexp.hpo.studies.table import StudyTable
from risexp.hpo.trials.trial_result import TrialResult
from risexp.hpo.workers.pool import WorkerDeath, WorkerSpec
from tests.support.searches import LR, EmptyPool, tiny
from tests.support.worker_processes import opened, queue_of

REQUEST = SearchRequest(tiny(), "toy", trials=3, device="cpu", tracking="off", unchecked=True)
SCORES = (5.0, 3.0, 4.0, 2.0, 6.0, 7.0, 8.0)


class FakePool(EmptyPool):
    """Does one trial between two looks, or whatever its next act is."""

    def __init__(
        self, specs: Sequence[WorkerSpec], acts: Iterator[Callable[["FakePool"], None]]
    ) -> None:
        super().__init__(specs)
        (self.spec,) = specs
        self.pids = (os.getpid(),)
        self.started = False
        self.asked = 0
        self.trained: list[int] = []
        self.killed: list[int] = []
        self.deaths: list[WorkerDeath] = []
        self.reports: tuple[int, ...] = (1,)
        self.score: Callable[[int, Mapping[str, JsonValue]], float] = lambda each, _: SCORES[each]
        options = dict(zip(self.spec.command[1::2], self.spec.command[2::2], strict=True))
        self.token, self.study = options["--crew"], options["--study"]
        self._acts = acts

    def start(self) -> None:
        self.started = True

    def look(self) -> list[WorkerDeath]:
        deaths, self.deaths = self.deaths, []
        return deaths

    def kill(self, pid: int) -> None:
        self.killed.append(pid)
        self.deaths.append(WorkerDeath(0, pid, -9, self.spec.log))

    def restart_dead(self) -> None:
        if self.pids:
            next(self._acts, train)(self)

    def terminate(self) -> None:
        self.asked += 1
        self.pids = ()


def train(pool: FakePool) -> None:
    """Do the next trial, with a score by its number; leave where none is left."""
    with study(pool.study) as (store, ref):
        ended = end_of(store, ref) is not None
        owner = owner_of(pool.token, pool.pids[0])
        claim = None if ended else queue_of(store, ref).claim(owner)
        if claim is None:
            pool.pids = ()
            return
        values = claim.suggest(lambda trial: suggest(ref.spec, trial))
        score = pool.score(claim.number, values)
        for step in pool.reports:
            claim.report(step, score)
        claim.finish(TrialResult("complete", "finished", score))
        pool.trained.append(claim.number)


def train_by_rate(pool: FakePool) -> None:
    """Do the next trials, scored by their learning rates and a little by their seeds."""
    pool.score = lambda _, values: (
        1000.0 * float(str(values[LR])) + 0.1 * int(str(values.get("training.seed", 0)))
    )
    train(pool)


def leave(pool: FakePool) -> None:
    """End without a trial."""
    pool.pids = ()


def die(pool: FakePool, code: int = -9) -> None:
    """Claim a trial, and die with it."""
    with study() as (store, ref):
        queue_of(store, ref).claim(owner_of(pool.token, pool.pids[0]))
        pool.deaths.append(WorkerDeath(0, pool.pids[0], code, pool.spec.log))
        if end_of(store, ref) is not None:
            pool.pids = ()


def send(number: int) -> Callable[[FakePool], None]:
    """An act in which this process receives a signal."""
    return lambda _: signal.raise_signal(number)


@contextmanager
def study(name: str = "toy") -> Iterator[tuple[StudyStore, StudyRef]]:
    """The store of this home, and a study in it."""
    with opened(embedded()) as store:
        yield store, find_study(store, name)


class RecordingView(StudyView):
    """A view that keeps every table that it shows."""

    def __init__(self) -> None:
        super().__init__(Console(file=StringIO()))
        self.tables: list[StudyTable] = []

    def show(self, table: StudyTable, remark: str = "") -> None:
        self.tables.append(table)
        super().show(table, remark)


def searched(request: SearchRequest = REQUEST) -> tuple[SearchResult, RecordingView]:
    """The result of a search, and the view that showed it."""
    view = RecordingView()
    return search(request, view), view


def states(result: SearchResult) -> list[str]:
    return [row.state for row in result.table.trials]


Employ = Callable[..., list[FakePool]]
