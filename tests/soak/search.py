"""A search on its stage, worked off while something happens to it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from risexp.errors import RisexpError
from risexp.hpo.store.leases import Attempt, Leases
from risexp.hpo.store.retry import Retry
from risexp.hpo.store.store import StudyStore, find_store
from risexp.hpo.studies.study import StudyRef, find_study
from risexp.hpo.trials.invariants import FINAL
from risexp.hpo.trials.snapshot import study_snapshot
from tests.soak.stage import STUDY, Stage

_MADE_S: Final = 900.0
"""Longest time until a study is made, on a machine that does much else."""


@dataclass
class Search:
    """A search on its stage, worked off while something happens to it."""

    stage: Stage
    store: StudyStore
    study: StudyRef

    @classmethod
    def begin(cls, stage: Stage) -> "Search":
        """Start the supervisor, and the lone workers once there is a study."""
        stage.serve()
        stage.search.keep()
        return cls(stage, *opened(stage.url))

    @property
    def is_over(self) -> bool:
        """Whether every trial is final."""
        try:
            return FINAL.issuperset(self.states())
        except RisexpError:
            return False

    def work(self, turn: Callable[[], object], limit_s: float) -> bool:
        """Keep all processes working until the search is over; false if time is over before."""
        end = time.monotonic() + limit_s
        while time.monotonic() < end:
            turn()
            process = self.stage.search.process
            if process is not None and process.poll() == 0 and self.is_over:
                return True
            for program in (self.stage.search, self.stage.spared, self.stage.faulty):
                program.keep()
            time.sleep(0.25)
        return False

    @property
    def leases(self) -> Leases:
        """Of the study's trials."""
        return Leases(self.store, self.study.uid)

    def attempts(self) -> list[Attempt]:
        """All attempts at all trials."""
        return self.leases.attempts()

    def states(self) -> list[str]:
        """Of all trials."""
        return [each.state for each in study_snapshot(self.store, self.study).trials]

    def end(self) -> None:
        """End all processes but the tracking server."""
        for program in (self.stage.faulty, self.stage.spared, self.stage.search):
            program.stop()


def opened(url: str) -> tuple[StudyStore, StudyRef]:
    """The study, once its search has made it."""
    end = time.monotonic() + _MADE_S
    while True:
        try:
            store = find_store(url, retry=Retry("", limit_s=5.0), busy_s=2.0)
            return store, find_study(store, STUDY)
        except RisexpError:
            if time.monotonic() > end:
                raise
            time.sleep(0.5)
