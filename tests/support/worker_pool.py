"""A crew in this process, which does between two looks what a test tells it to."""

import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from pydantic import JsonValue

from risexp.app.search.search import SearchRequest, SearchResult, search
from risexp.app.search.worker import owner_of
from risexp.hpo.search.parameters import suggest
from risexp.hpo.store.address import embedded
from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.facts import spec_from_facts
from risexp.hpo.studies.study import StudyRef, end_of, find_study
from risexp.hpo.studies.table import StudyTable
from risexp.hpo.trials.trial_result import TrialResult
from risexp.hpo.workers.pool import WorkerDeath, WorkerSpec
from tests.support.searches import tiny
from tests.support.worker_processes import opened, queue_of

WANTED = SearchRequest(tiny(), "toy", trials=3, device="cpu", tracking="off", unchecked=True)


SCORES = (5.0, 3.0, 4.0, 2.0, 6.0, 7.0, 8.0)


class Hands:
    """A crew of one that does a trial, or whatever it is told to, between two looks."""

    def __init__(
        self, given: Sequence[WorkerSpec], acts: Iterator[Callable[["Hands"], None]]
    ) -> None:
        (self.post,) = given
        self.pids: tuple[int, ...] = (os.getpid(),)
        self.gave_up = False
        self.started = False
        self.asked = 0
        self.trained: list[int] = []
        self.killed: list[int] = []
        self.deaths: list[WorkerDeath] = []
        self.reports: tuple[int, ...] = (1,)
        self.score: Callable[[int, Mapping[str, JsonValue]], float] = lambda each, _: SCORES[each]
        self._acts = acts

    @property
    def token(self) -> str:
        return self._told("--crew")

    @property
    def study(self) -> str:
        return self._told("--study")

    def _told(self, option: str) -> str:
        return self.post.command[self.post.command.index(option) + 1]

    def start(self) -> None:
        self.started = True

    def look(self) -> list[WorkerDeath]:
        seen, self.deaths = self.deaths, []
        return seen

    def kill(self, pid: int) -> None:
        self.killed.append(pid)
        self.deaths.append(WorkerDeath(0, pid, -9, self.post.log))

    def progressed(self) -> None:
        pass

    def restart_dead(self) -> None:
        if self.pids:
            next(self._acts, train)(self)

    def terminate(self) -> None:
        self.asked += 1
        self.pids = ()

    def end(self, _patience_s: float) -> None:
        pass


def train(hands: Hands) -> None:
    """Do the next trial, with a score by its number; leave where none is left."""
    with study(hands.study) as (store, found):
        ended = end_of(store, found) is not None
        me = owner_of(hands.token, hands.pids[0])
        claim = None if ended else queue_of(store, found).claim(me)
        if claim is None:
            hands.pids = ()
            return
        charter = spec_from_facts(found.name, found.facts)
        values = claim.suggest(lambda trial: suggest(charter, trial))
        score = hands.score(claim.number, values)
        for step in hands.reports:
            claim.report(step, score)
        claim.finish(TrialResult("complete", "finished", score))
        hands.trained.append(claim.number)


def die(hands: Hands, code: int = -9) -> None:
    """Claim a trial, and end with it."""
    with study() as (store, found):
        queue_of(store, found).claim(owner_of(hands.token, hands.pids[0]))
        hands.deaths.append(WorkerDeath(0, hands.pids[0], code, hands.post.log))
        if end_of(store, found) is not None:
            hands.pids = ()


def hear(number: int) -> Callable[[Hands], None]:
    """Somebody presses Ctrl-C, or a scheduler says that time is over."""
    return lambda _: signal.raise_signal(number)


@contextmanager
def study(name: str = "toy") -> Iterator[tuple[StudyStore, StudyRef]]:
    """The store of this home, and its study."""
    with opened(embedded()) as store:
        yield store, find_study(store, name)


def searched(wanted: SearchRequest = WANTED) -> tuple[SearchResult, list[StudyTable], list[str]]:
    """How it ended, what was shown and what was said."""
    shown: list[StudyTable] = []
    said: list[str] = []
    found = search(wanted, lambda table, _: shown.append(table), said.append)
    return found, shown, said


def states(found: SearchResult) -> list[str]:
    return [each.state for each in found.table.trials]


Employ = Callable[..., list[Hands]]
