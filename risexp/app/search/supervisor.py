"""Supervisor of a study: starts workers with their resources, watches them, and ends the study."""

import secrets
import time
from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Final

from risexp.app.run.machine import device_named
from risexp.app.search.studies import StudyView
from risexp.app.search.worker import owner_of
from risexp.core.home import home
from risexp.core.signals import SignalHandler, exit_code_of
from risexp.errors import EnvironmentFailed, InvalidInput, VerificationFailed
from risexp.hpo.store.address import STORE, store_url
from risexp.hpo.store.leases import Leases
from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.study import StudyRef, end_study, run_id
from risexp.hpo.studies.table import StudyTable, study_table
from risexp.hpo.trials.limits import FAILING, end_if_failing
from risexp.hpo.trials.reaper import Reaper, StuckWorkers
from risexp.hpo.workers.pool import WorkerPool, WorkerSpec
from risexp.runs.folder import is_name
from risexp.tracking.stores import VARIABLE, chosen_store

_LONGEST: Final = 96
"""Characters of a study's name: with the number of a trial it is the name of a run."""
_LOOK_S: Final = 0.5
_WATCH_S: Final = 5.0
"""Between two searches for workers whose leases have expired."""
_PATIENCE_S: Final = 60.0
"""For a worker to end after it was asked to."""


@dataclass(frozen=True, kw_only=True)
class Resources:
    """The workers of a study, their devices, and their time limits."""

    workers: int = 1
    gpus: Sequence[str] = ()
    """Workers share them in turn; with none, every worker computes on `device`."""
    device: str = "auto"
    threads: int = 1
    timeout_s: float | None = None
    trial_timeout_s: float | None = None
    """For each trial, all its attempts together."""
    until: float | None = None
    """Value of a complete trial below which the study ends."""
    tracking: str | None = None

    @property
    def worker_device(self) -> str:
        """The device of every worker; a GPU that is missing does not become a CPU."""
        return "cuda" if self.gpus and self.device == "auto" else self.device

    def check(self, study: str) -> None:
        """Check the settings of the workers before anything is made."""
        if not is_name(run_id(study, 0)):
            raise InvalidInput(
                f"{study!r} is no name of a study: use letters, digits, and . _ -, at most "
                f"{_LONGEST} of them"
            )
        device_named(self.worker_device)
        chosen_store(self.tracking)


def worker_specs(study: str, resources: Resources, pool: str) -> list[WorkerSpec]:
    """The command and environment of every worker of a pool."""
    logs = home().absolute() / "mlruns" / "studies" / study
    threads = str(resources.threads)
    shared = {
        "RISEXP_HOME": str(home().absolute()),
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
    }
    if (url := store_url()) is not None:
        shared[STORE] = url
    if resources.tracking is not None:
        shared[VARIABLE] = resources.tracking
    command = ["worker", "--study", study, "--crew", pool, "--threads", threads]
    command += ["--device", resources.worker_device]
    gpus = [
        {"CUDA_VISIBLE_DEVICES": resources.gpus[index % len(resources.gpus)]}
        if resources.gpus
        else {}
        for index in range(resources.workers)
    ]
    return [
        WorkerSpec(index, command, {**shared, **gpu}, logs / f"worker-{index}.log")
        for index, gpu in enumerate(gpus)
    ]


class Supervisor:
    """Watches the workers of a study on this machine, and ends the study at its limits."""

    def __init__(
        self, store: StudyStore, study: StudyRef, resources: Resources, view: StudyView
    ) -> None:
        self._store = store
        self._study = study
        self._resources = resources
        self._view = view
        self._token = secrets.token_hex(8)
        self._specs = worker_specs(study.name, resources, self._token)
        self._pool = WorkerPool(self._specs)
        self._leases = Leases(store, study.uid)
        self._reaper = Reaper(self._leases, study)
        self._stuck = StuckWorkers(self._leases)
        self._watch_at = 0.0
        self._signals = 0
        self._kill_at = float("inf")
        self._done: int | None = None
        self._told: Set[tuple[str, str]] = frozenset()
        self._began = time.monotonic()

    def run(self, signals: SignalHandler) -> int:
        """Supervise until every worker has left; return the exit code.

        Where no trial is left, no worker is started.
        """
        if not self._look().over:
            self._run_workers(signals)
        table = self._look()
        if signals.numbers:
            return exit_code_of(signals.numbers[0])
        if self._pool.gave_up:
            raise EnvironmentFailed(
                f"every worker died again and again: see {self._specs[0].log.parent}; the same "
                "command goes on with the study"
            )
        return VerificationFailed.exit_code if table.ended == FAILING else 0

    def _run_workers(self, signals: SignalHandler) -> None:
        try:
            self._pool.start()
            while self._pool.pids and time.monotonic() < self._kill_at:
                self._kill_stuck()
                self._bury_dead()
                self._forward(signals)
                self._end_at_limits(self._look())
                self._pool.restart_dead()
                time.sleep(_LOOK_S)
        finally:
            self._pool.terminate()
            self._pool.end(_PATIENCE_S)
            self._release_left()

    def _bury_dead(self) -> None:
        """Free the trials of dead workers at once."""
        for death in self._pool.look():
            self._view.say(death.sentence())
            owner = owner_of(self._token, death.pid)
            self._reaper.abandon(owner.id, "hung" if death.hung else "died")

    def _release_left(self) -> None:
        """Give back what workers still hold that ended when they were asked to, or were killed."""
        for death in self._pool.look():
            self._view.say(death.sentence())
        held = (attempt.lease.owner for attempt in self._leases.look().living)
        for owner in {owner for owner in held if owner.startswith(f"{self._token}.")}:
            self._reaper.abandon(owner, "released")

    def _kill_stuck(self) -> None:
        """Kill workers that lost their leases and do not end: they may lock the database."""
        now = time.monotonic()
        if now < self._watch_at:
            return
        self._watch_at = now + _WATCH_S
        pids = {owner_of(self._token, pid).id: pid for pid in self._pool.pids}
        for owner in self._stuck.look(pids):
            self._view.say(
                f"process {pids[owner]} is stopped or hangs, and its lease is over: it is killed, "
                "and its trial goes on"
            )
            self._pool.kill(pids[owner])

    def _look(self) -> StudyTable:
        table = study_table(self._store, self._study)
        if self._done is not None and table.done > self._done:
            self._pool.progressed()
            if end_if_failing(self._store, self._study):
                table = study_table(self._store, self._study)
        self._done = table.done
        for host, fault in table.waits.items() - self._told:
            self._view.say(f"host {host} claims no trial: {fault}")
        self._told = table.waits.items()
        self._view.show(table, "ending" if self._signals else self._time_left(table))
        return table

    def _time_left(self, table: StudyTable) -> str:
        """An estimate from the mean time of the trials so far."""
        spent = [row.seconds for row in table.trials if row.seconds is not None]
        left = table.wanted - table.done
        if not spent or left <= 0:
            return ""
        seconds = left * sum(spent) / len(spent) / len(self._specs)
        return f"about {seconds / 60.0:.0f} min left" if seconds > 90.0 else f"{seconds:.0f} s left"

    def _forward(self, signals: SignalHandler) -> None:
        """Pass new signals on to the workers."""
        if len(signals.numbers) > self._signals:
            first = self._signals == 0
            self._signals = len(signals.numbers)
            self._kill_at = time.monotonic() + _PATIENCE_S
            self._pool.terminate()
            self._view.say(
                "workers end with their batches; once more stops them at once"
                if first
                else "workers are stopped at once"
            )

    def _end_at_limits(self, table: StudyTable) -> None:
        if table.ended is not None:
            return
        until, best = self._resources.until, table.lowest
        if until is not None and best is not None and best < until:
            end_study(self._store, self._study, f"k_loc {best:.3f} is below {until:g}")
            return
        timeout = self._resources.timeout_s
        if timeout is not None and time.monotonic() - self._began > timeout:
            end_study(self._store, self._study, f"{timeout:.0f} s are over")
