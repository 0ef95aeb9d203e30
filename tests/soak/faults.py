"""Random faults of all classes, drawn from a seed, against a search that goes on."""

import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Final

from risexp.errors import RisexpError
from risexp.hpo.store.leases import Attempt, Leases
from risexp.hpo.trials.reaper import MOST_DEATHS, is_poison
from tests.soak.damage import damage_one, fill
from tests.soak.databases import Database
from tests.soak.processes import born
from tests.soak.stage import Program, Stage

EARLY: Final = 0.25
"""Share of the soak in which what is measured to its end may be killed too."""
_ZOMBIE_S: Final = (70.0, 80.0)
"""Beyond a lease's minute."""
_ASKED: Final = (
    *(signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT),
    signal.SIGHUP,
)


PLANTED: Final = {"F18": "oom", "F19": "nan", "F23": "clock"}
"""Faults that `faulty_worker` takes once it trains."""


@dataclass(frozen=True)
class Kill:
    """One kill of a worker that had a trial."""

    at: float
    trial_id: int
    attempt: int
    seen: bool
    """Whether a supervisor saw it; else the lease has to run out."""


@dataclass(frozen=True)
class _Kind:
    """One way to break something."""

    fault: str
    weight: float
    break_it: Callable[[], bool]
    """False if there is nothing to break at the moment."""
    rest_s: float = 0.0
    """Least time between two of them."""


class Faults:
    """Injects faults, and ends those that last."""

    def __init__(self, stage: Stage, database: Database, leases: Leases, dice: Random) -> None:
        self.injected = Counter[str]()
        self.kills: list[Kill] = []
        self.share = 0.0
        """Share of the soak that is over."""
        self.can_fill = True
        """Whether the home is on a disk of its own."""
        self._stage, self._database, self._leases, self._dice = stage, database, leases, dice
        self._ends: list[tuple[float, str, Callable[[], object]]] = []
        self._again_at: dict[Callable[[], bool], float] = {}
        self._kinds = (
            _Kind("F1", 8.0, self._kill_pool_worker),
            _Kind("F1", 1.0, self._kill_lone_worker),
            _Kind("F3", 3.0, self._kill_supervisor, 60.0),
            _Kind("F4", 2.0, self._stop_lone_worker),
            _Kind("F4", 2.0, self._stop_pool_worker),
            _Kind("F5", 2.0, self._stop_database, 60.0),
            _Kind("F6", 2.0, self._lock_database, 60.0),
            _Kind("F7", 4.0, self._spoil_tracking, 20.0),
            _Kind("F7", 2.0, self._kill_tracking, 60.0),
            _Kind("F10", 6.0, self._damage_waiting, 10.0),
            _Kind("F12", 2.0, self._fill_disk, 60.0),
            _Kind("F14", 3.0, self._signal_lone_worker, 20.0),
            _Kind("F14", 2.0, self._signal_supervisor, 60.0),
            *(_Kind(fault, 1.5, partial(self._plant, name)) for fault, name in PLANTED.items()),
        )

    def inject(self) -> str | None:
        """Break something at random; what it was."""
        now = time.monotonic()
        left = [each for each in self._kinds if now >= self._again_at.get(each.break_it, 0.0)]
        while left:
            kind = self._dice.choices(left, [each.weight for each in left])[0]
            with suppress(RisexpError, ProcessLookupError):
                if kind.break_it():
                    self.injected[kind.fault] += 1
                    self._again_at[kind.break_it] = now + kind.rest_s
                    return f"{kind.fault} {PLANTED.get(kind.fault) or _name(kind.break_it)}"
            left.remove(kind)
        return None

    def end_due(self, *, at_once: bool = False) -> None:
        """End what has lasted long enough, or all."""
        now = time.monotonic()
        due = [each for each in self._ends if at_once or each[0] <= now]
        self._ends = [each for each in self._ends if each not in due]
        for _, _, end in due:
            with suppress(ProcessLookupError):
                end()

    def not_taken(self) -> None:
        """Leave out what was planted and not taken; once the search is over."""
        for fault, name in PLANTED.items():
            self.injected[fault] -= (self._stage.control / name).exists()

    def _lasting(self, name: str, seconds: tuple[float, float], end: Callable[[], object]) -> bool:
        self._ends.append((time.monotonic() + self._dice.uniform(*seconds), name, end))
        return True

    def _lasts(self, name: str) -> bool:
        return any(each[1] == name for each in self._ends)

    def _busy(self, pids: list[int]) -> list[Attempt]:
        """Living attempts of these processes, whose trials bear another death."""
        if self._lasts("database"):
            return []
        return [
            each
            for each in self._leases.look().living
            if each.pid in pids
            and each.parameters is not None
            and not is_poison(self._leases.attempts(each.lease.trial_id), MOST_DEATHS - 1)
        ]

    def _kill(self, pids: list[int], *, seen: bool) -> bool:
        busy = self._busy([pid for pid in pids if not self._lasts(f"stop {pid}")])
        if not busy:
            return False
        victim = self._dice.choice(busy)
        os.kill(victim.pid, signal.SIGKILL)
        self.kills.append(Kill(time.time(), victim.lease.trial_id, victim.lease.attempt, seen))
        return True

    def _kill_pool_worker(self) -> bool:
        return self._kill(self._stage.pool, seen=True)

    def _kill_lone_worker(self) -> bool:
        return self._kill([self._stage.faulty.pid], seen=False)

    def _kill_supervisor(self) -> bool:
        return self._early(self._stage.search, signal.SIGKILL)

    def _signal_supervisor(self) -> bool:
        return self._early(self._stage.search, self._dice.choice(_ASKED))

    def _early(self, program: Program, number: int) -> bool:
        if self.share > EARLY or not program.pid or not self._stage.pool:
            return False
        os.kill(program.pid, number)
        return True

    def _stop(self, pid: int, seconds: tuple[float, float]) -> bool:
        name = f"stop {pid}"
        if not pid or self._lasts(name) or not self._busy([pid]):
            return False
        birth = born(pid)
        os.kill(pid, signal.SIGSTOP)

        def go_on() -> None:
            if birth and birth == born(pid):
                os.kill(pid, signal.SIGCONT)

        return self._lasting(name, seconds, go_on)

    def _stop_lone_worker(self) -> bool:
        return self._stop(self._stage.faulty.pid, _ZOMBIE_S)

    def _stop_pool_worker(self) -> bool:
        pool = self._stage.pool
        long = self._dice.random() < 0.3
        return bool(pool) and self._stop(
            self._dice.choice(pool), _ZOMBIE_S if long else (3.0, 15.0)
        )

    def _signal_lone_worker(self) -> bool:
        pid = self._stage.faulty.pid
        if not pid or self._lasts(f"stop {pid}") or not self._busy([pid]):
            return False
        for _ in range(self._dice.choice((1, 1, 1, 2))):
            os.kill(pid, self._dice.choice(_ASKED))
            time.sleep(self._dice.uniform(0.0, 0.3))
        return True

    def _stop_database(self) -> bool:
        if self._lasts("database"):
            return False
        end = self._database.stop(self._dice.choice(("fast", "immediate")))
        return end is not None and self._lasting("database", (0.0, 20.0), end)

    def _lock_database(self) -> bool:
        if self._lasts("database"):
            return False
        return self._lasting("database", (2.0, 15.0), self._database.lock())

    def _spoil_tracking(self) -> bool:
        if self._lasts("tracking"):
            return False
        proxy = self._stage.proxy
        proxy.mood = self._dice.choice(("hang", "reset", "500"))

        def pass_again() -> None:
            proxy.mood = "pass"

        return self._lasting("tracking", (3.0, 20.0), pass_again)

    def _kill_tracking(self) -> bool:
        server = self._stage.server
        if self.share > EARLY or self._lasts("tracking") or not server.pid:
            return False
        os.killpg(server.pid, signal.SIGKILL)
        return self._lasting("tracking", (2.0, 10.0), server.keep)

    def _damage_waiting(self) -> bool:
        if self._lasts("database") or self._lasts("disk"):
            return False
        return damage_one(self._stage, self._dice)

    def _fill_disk(self) -> bool:
        if not self.can_fill or self._lasts("disk"):
            return False
        return self._lasting("disk", (3.0, 20.0), fill(self._stage.home / "ballast"))

    def _plant(self, name: str) -> bool:
        path = self._stage.control / name
        if path.exists() or not self._stage.faulty.pid:
            return False
        path.touch()
        return True


def _name(break_it: Callable[[], bool]) -> str:
    return getattr(break_it, "__name__", "").strip("_")
