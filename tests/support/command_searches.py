"""Whole searches by `risexp hpo`, in processes of their own, to be disturbed by faults."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from risexp.errors import InvalidInput
from risexp.hpo.store.leases import Attempt, Leases
from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.study import StudyRef, find_study
from risexp.runs.journal import read_journal
from tests.support.searches import BLINK, RATE, write_space
from tests.support.worker_processes import begun, states, until, violations

NAME: Final = "tiny"
EPOCHS: Final = 4
FIXED: Final = {**BLINK, "training.epochs": EPOCHS, "training.scenes_per_epoch": 64}
SPACE: Final = {
    "base": "smoke",
    "trials": 6,
    "fixed": FIXED,
    "vary": RATE,
    "pruner": {"kind": "none"},
}
LIMIT_S: Final = 600.0
"""Ends a hang; a crowded machine takes minutes for what is done in seconds."""
Process = subprocess.Popen[bytes]
SQLITE_OR_SOAK = pytest.mark.parametrize(
    "backend", ["sqlite", pytest.param("postgresql", marks=pytest.mark.soak)], indirect=True
)
"""For whole searches whose fault lies outside of the database: each costs half a minute."""


@dataclass(frozen=True)
class CommandSearch:
    """A search of very small trials, whose studies are in a database outside of its home."""

    home: Path
    store: StudyStore
    log: Path
    """Where the command's output goes."""
    trials: int = 6
    workers: int = 2
    before: Sequence[str] = ()
    """The beginning of the command line, e.g. to take rights away."""
    environment: Mapping[str, str] = field(default_factory=dict)
    tracking: str = "off"
    processes: list[Process] = field(default_factory=list)
    """Commands that were started and are not killed yet."""

    def prepare(self) -> None:
        """Write the space into the home."""
        write_space(self.home, NAME, SPACE)

    @contextmanager
    def begun(self) -> Iterator[Process]:
        """The process of the search; it and its workers are killed in the end."""
        command = [sys.executable, "-m", "risexp", "hpo", "--space", NAME, "--device", "cpu"]
        command += ["--unchecked", "--tracking", self.tracking, "--trials", str(self.trials)]
        command += ["--workers", str(self.workers)]
        places = {"RISEXP_HOME": str(self.home), "RISEXP_STORE": self.store.url}
        environment = {**os.environ, **places, **self.environment}
        with (
            self.log.open("ab") as log,
            subprocess.Popen(  # noqa: S603 - our own interpreter and program
                [*self.before, *command], cwd=self.home, env=environment, stdout=log, stderr=log
            ) as process,
        ):
            self.processes.append(process)
            try:
                yield process
            finally:
                self.processes.remove(process)
                process.kill()
                self.kill_workers()

    def run(self, limit_s: float = LIMIT_S) -> int:
        """The exit code of the whole search."""
        with self.begun() as process:
            return process.wait(limit_s)

    @property
    def study(self) -> StudyRef:
        """The study, once it is there."""
        return find_study(self.store, NAME)

    def attempts(self) -> list[Attempt]:
        """All attempts; none before the study is there."""
        try:
            return Leases(self.store, self.study.uid).attempts()
        except InvalidInput:
            return []

    def finished(self) -> int:
        """Attempts that finished their trials."""
        return sum(each.ended == "finished" for each in self.attempts())

    def wait_until_amid(self, finished: int = 1) -> None:
        """Wait until some trials are finished, and others are being trained."""

        def amid() -> bool:
            attempts = self.attempts()
            training = [each for each in attempts if each.ended is None and each.parameters]
            done = sum(each.ended == "finished" for each in attempts)
            assert done < self.trials, "it was over before"
            return done >= finished and bool(training)

        self.wait_until(amid)

    def wait_for_claims(self, more_than: int) -> None:
        """Wait until there are more attempts than before."""
        self.wait_until(lambda: len(self.attempts()) > more_than)

    def wait_for_results(self, more_than: int) -> None:
        """Wait until more trials are finished than before."""
        self.wait_until(lambda: self.finished() > more_than)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition; a command that ends before it is met fails at once."""

        def met() -> bool:
            running = all(each.poll() is None for each in self.processes)
            done = condition()
            assert done or running, f"the command has ended:\n{self.log.read_text()}"
            return done

        until(met, LIMIT_S)

    def workers_pids(self) -> set[int]:
        """Processes that have claimed a trial and live."""
        return {each.pid for each in self.attempts() if lives(each.pid)}

    def kill_workers(self) -> None:
        """Kill all workers that live."""
        for pid in self.workers_pids():
            os.kill(pid, signal.SIGKILL)

    def recovery_s(self, since: float) -> float:
        """Seconds from a moment to the first claim after it."""
        return min(each.began_at - since for each in self.attempts() if each.began_at > since)

    def assert_whole(self) -> None:
        """Each trial is complete, one attempt finished it, and each epoch was recorded once."""
        assert ["complete"] * self.trials == states(self.store, self.study), self.log.read_text()
        assert [] == violations(self.store, self.study)
        finished = [each for each in begun(self.store, self.study) if each.ended == "finished"]
        runs = {each.run_id for each in finished}
        assert self.trials == len(finished) == len(runs)
        for run in runs:
            journal = read_journal(self.home / "mlruns" / "runs" / run / "journal.jsonl")
            assert ([*range(1, EPOCHS + 1)], ()) == ([r.step for r in journal.rows], journal.late)


def lives(pid: int) -> bool:
    """Whether a process is there and is more than an entry that is waited for."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("ascii", errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
