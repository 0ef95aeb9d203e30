"""Whoever looks after the workers of a search, shows how it stands, and ends it when asked."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from risexp.app.search.worker import owner_of
from risexp.core.signals import SignalHandler, exit_code_of
from risexp.errors import EnvironmentFailed, VerificationFailed
from risexp.hpo.store.leases import Leases
from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.study import StudyRef, end_study
from risexp.hpo.studies.table import StudyTable, study_table
from risexp.hpo.trials.limits import FAILING, end_if_failing
from risexp.hpo.trials.reaper import Reaper, StuckWorkers
from risexp.hpo.workers.pool import WorkerPool, WorkerSpec
from risexp.space.spec import SearchSpace

_LOOK_S: Final = 0.5
_WATCH_S: Final = 5.0
"""Between two looks for workers whose leases are over."""
_PATIENCE_S: Final = 60.0
"""How long a worker that was asked to end may take."""

Show = Callable[[StudyTable, str], None]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Messages:
    """Says sentences, and remembers them for whoever reads a document and not a screen."""

    say: Say
    sentences: list[str] = field(default_factory=list, init=False)

    def __call__(self, sentence: str) -> None:
        """Say one."""
        self.sentences.append(sentence)
        self.say(sentence)


@dataclass(frozen=True)
class SupervisorConfig:
    """What a crew is to do, and when it has done enough."""

    token: str
    """Names the crew in its leases."""
    posts: Sequence[WorkerSpec]
    timeout_s: float | None = None
    until: float | None = None
    """Value of a complete trial below which the study ends."""


class Supervisor:
    """Looks after a crew, shows how the study stands, and ends it where that was asked for."""

    def __init__(
        self,
        store: StudyStore,
        study: StudyRef,
        space: SearchSpace,
        orders: SupervisorConfig,
        show: Show,
        say: Say,
    ) -> None:
        self._store = store
        self._study = study
        self._space = space
        self._orders = orders
        self._show = show
        self._say = say
        self._crew = WorkerPool(orders.posts)
        leases = Leases(store, study.uid)
        self._reaper = Reaper(leases, study)
        self._overdue = StuckWorkers(leases)
        self._watch_at = 0.0
        self._heard = 0
        self._kill_at = float("inf")
        self._done: int | None = None
        self._began = time.monotonic()

    def run(self, asked: SignalHandler) -> int:
        """Look on until every worker has left; the exit code.

        Where nothing is left to be done, no worker is started.

        Raises:
            EnvironmentFailed: Every worker died again and again.
        """
        if not self._look().over:
            self._employ(asked)
        table = self._look()
        if asked.numbers:
            return exit_code_of(asked.numbers[0])
        if self._crew.gave_up:
            logs = self._orders.posts[0].log.parent
            raise EnvironmentFailed(
                f"every worker died again and again: see {logs}; the same command goes on with "
                "the study"
            )
        return VerificationFailed.exit_code if table.ended == FAILING else 0

    def _employ(self, asked: SignalHandler) -> None:
        try:
            self._crew.start()
            while self._crew.pids and time.monotonic() < self._kill_at:
                self._watch()
                self._tend()
                self._hear(asked)
                self._end_if_enough(self._look())
                self._crew.restart_dead()
                time.sleep(_LOOK_S)
        finally:
            self._crew.terminate()
            self._crew.end(_PATIENCE_S)
            self._tend()

    def _tend(self) -> None:
        for death in self._crew.look():
            self._say(death.sentence())
            self._reaper.abandon(self._owner(death.pid), "hung" if death.hung else "died")

    def _owner(self, pid: int) -> str:
        return owner_of(self._orders.token, pid).id

    def _watch(self) -> None:
        """Kill who has lost its lease and does not end: it may hold the database's lock."""
        now = time.monotonic()
        if now < self._watch_at:
            return
        self._watch_at = now + _WATCH_S
        pids = {self._owner(pid): pid for pid in self._crew.pids}
        for owner in self._overdue.look(pids):
            self._say(
                f"process {pids[owner]} is stopped or hangs, and its lease is over: it is killed, "
                "and its trial goes on"
            )
            self._crew.kill(pids[owner])

    def _look(self) -> StudyTable:
        table = self._table()
        if self._done is not None and table.done > self._done:
            self._crew.progressed()
            if end_if_failing(self._store, self._study):
                table = self._table()
        self._done = table.done
        self._show(table, "ending" if self._heard else self._remark(table))
        return table

    def _table(self) -> StudyTable:
        return study_table(self._store, self._study, self._space)

    def _remark(self, table: StudyTable) -> str:
        """The time it may still take, by what the trials so far took."""
        spent = [each.seconds for each in table.trials if each.seconds is not None]
        left = table.wanted - table.done
        if not spent or left <= 0:
            return ""
        seconds = left * sum(spent) / len(spent) / len(self._orders.posts)
        return f"about {seconds / 60.0:.0f} min left" if seconds > 90.0 else f"{seconds:.0f} s left"

    def _hear(self, asked: SignalHandler) -> None:
        if len(asked.numbers) > self._heard:
            first = self._heard == 0
            self._heard = len(asked.numbers)
            self._kill_at = time.monotonic() + _PATIENCE_S
            self._crew.terminate()
            said = "workers end with their batches; once more stops them at once" if first else ""
            self._say(said or "workers are stopped at once")

    def _end_if_enough(self, table: StudyTable) -> None:
        if table.ended is not None:
            return
        until, best = self._orders.until, table.lowest
        if until is not None and best is not None and best < until:
            end_study(self._store, self._study, f"k_loc {best:.3f} is below {until:g}")
            return
        timeout = self._orders.timeout_s
        if timeout is not None and time.monotonic() - self._began > timeout:
            end_study(self._store, self._study, f"{timeout:.0f} s are over")
